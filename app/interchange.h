// SPDX-License-Identifier: MIT
// Checkpoints of the paper's PyTorch program, read and written by tools/pytorch_checkpoint.py,
// which needs a Python with torch.
#pragma once

#include <filesystem>
#include <string>

#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// A checkpoint of the paper's program, as it lies beside the file to come.
class PytorchCheckpoint {
 public:
  /// Reads `file`. Throws Error, in one line, with what the script says when it cannot be read or
  /// is none, or when `python` cannot run it; and when there is a file at `out`.
  PytorchCheckpoint(const std::filesystem::path& file, const std::filesystem::path& out,
                    const std::string& python);
  PytorchCheckpoint(const PytorchCheckpoint&) = delete;
  PytorchCheckpoint& operator=(const PytorchCheckpoint&) = delete;
  ~PytorchCheckpoint();

  /// What the file tells: sizes, the kind of span, optimizer and learning rate. The rest (ramp,
  /// block, batch, dropout ...) are defaults.
  TrainingConfig config() const;

  /// Writes a checkpoint to `out`: weights, the optimizer's state, the step. Training goes on from
  /// it at the start of the text with an empty memory, as in the paper's program. Returns the step.
  /// Throws Error, naming the tensor, when the weights are not those of a model of this
  /// configuration.
  int64_t save(const TrainingConfig& config) const;

 private:
  std::filesystem::path out_, converted_;
};

/// Writes such weights of `checkpoint`, with the optimizer's state of the last ones, to `file` as
/// the paper's program would have saved it. Throws Error as above, and DamagedFile when the
/// checkpoint is.
void export_to_pytorch(const std::filesystem::path& checkpoint, const std::filesystem::path& file,
                       const std::string& python, Weights weights = Weights::last);

}  // namespace adaspan
