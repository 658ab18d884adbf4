// SPDX-License-Identifier: MIT
// A run's state in one safetensors file with checksums: parameters under their own names, the
// optimizer's state as "optim.<slot>.<parameter>", their average, where one is kept, as
// "ema.<parameter>", the layers' memory as "memory.train.<layer>"
// and, where validation rolls, "memory.valid.<layer>"; configuration, step, losses, positions and
// the hashes of the data in the header.
//
// Files are of format 3. Those of format 2 can be read, but their runs cannot go on: random streams
// have been numbered anew since (kRandomNumbering 2).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <adaspan/core/safetensors.h>
#include <adaspan/train/run/checkpoint_header.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

/// Weights and the optimizer's state, by name.
std::vector<NamedTensor> state_of(Transformer& model, Optimizer& optimizer);

/// These, and the average of the weights where there is one.
std::vector<NamedTensor> state_of(Trainer& trainer);

/// The name of the tensor that holds a layer's memory, and the tensor: its bytes are taken from
/// where the parts of the batch keep them, without a copy.
std::string memory_name(Trainer::MemoryOf text, int64_t layer);
NamedTensor memory_tensor(Trainer::MemoryOf text, int64_t layer, std::vector<LayerMemory> parts);

/// Replaces `path` by a checkpoint of such tensors. On failure the old file stays. Throws Error as
/// atomic_write does, and when a number is not finite.
void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      const std::vector<NamedTensor>& tensors);

/// How large a checkpoint becomes at spans z (of each layer and head, in steps), without the
/// header. The model's vocabulary must be known.
double checkpoint_bytes(const TrainingConfig& config, const std::vector<std::vector<float>>& z);

/// The state of `trainer`, in the same way.
void save_checkpoint(const std::filesystem::path& path, Trainer& trainer);

/// An opened checkpoint whose every byte is as it was written. Throws Error when it is missing or
/// of another format or has numbers that are not finite, DamagedFile when its checksums are not
/// those of its content.
SafetensorsFile open_checkpoint(const std::filesystem::path& path);

/// Puts the state of `file` into `trainer`, which then goes on as if it had never stopped. Throws
/// Error, naming what differs, when the checkpoint is of format 2, or of another model, batch,
/// optimizer, text, cut of the text or vocabulary; the trainer must then not be used. Where
/// validation now reads other text than before, the best loss is forgotten; where an average of the
/// weights is asked for and the file has none, it begins with the weights. Returns the header.
CheckpointHeader restore(const SafetensorsFile& file, Trainer& trainer);

/// Both: opens the checkpoint at `path` and restores from it.
CheckpointHeader load_checkpoint(const std::filesystem::path& path, Trainer& trainer);

/// A model for the weights of `file`, which it does not have yet. Throws Error before anything of
/// another size than the file's is made, so that a small file costs little whatever it says.
std::unique_ptr<Transformer> make_model(const ModelConfig& config, const SafetensorsFile& file);

/// Which of a checkpoint's weights.
enum class Weights {
  last,  ///< those that the run goes on from
  ema    ///< their average (optimizer.average)
};

/// Copies all parameters, or their averages. Throws Error as copy_tensor does, and when a value is
/// out of its bounds.
void copy_weights(Transformer& model, const SafetensorsFile& file, Weights which = Weights::last);

/// Throws Error when a value is out of the parameter's bounds.
void check_bounds(const Parameter& parameter);

/// Copies tensor `name` of `file` into `to`. Throws Error when shapes or types differ.
void copy_tensor(Tensor& to, const SafetensorsFile& file, const std::string& name);

/// Throws Error, with both, unless `found` has the vocabulary of the checkpoint, or as many tokens
/// where that is all that the checkpoint knows.
void check_vocabulary(const CheckpointHeader& header, const DataIdentity& found);

}  // namespace adaspan
