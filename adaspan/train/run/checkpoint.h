// SPDX-License-Identifier: MIT
// A run's state in one safetensors file with checksums: parameters under their own names, the
// optimizer's memory as "optim.<slot>.<parameter>", the layers' memory as "memory.train.<layer>"
// and "memory.valid.<layer>"; settings, step, losses and positions in the header.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <adaspan/core/safetensors.h>
#include <adaspan/train/data/corpus.h>
#include <adaspan/train/run/trainer.h>

namespace adaspan {

struct CheckpointHeader {
  Settings settings;
  int64_t vocabulary = 0;
  std::string vocabulary_hash, text_hash;  ///< empty where the corpus is not known (imported)
  Trainer::Progress progress;              ///< without the memories where a header is read
};

/// Weights and the optimizer's memory, by name.
std::vector<NamedTensor> state_of(Transformer& model, Optimizer& optimizer);

/// Replaces `path` by a checkpoint of such tensors; the layers' memory is that of the header. On
/// failure the old file stays. Throws Error as atomic_write does.
void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      std::vector<NamedTensor> tensors);

/// The state of `trainer`, in the same way.
void save_checkpoint(const std::filesystem::path& path, Trainer& trainer, const Corpus& corpus);

/// An opened checkpoint whose every byte is as it was written. Throws Error when it is missing or
/// of another format, DamagedFile when its checksums are not those of its content.
SafetensorsFile open_checkpoint(const std::filesystem::path& path);

/// Throws Error when a file, whose checksums need not fit, has no header of a checkpoint.
CheckpointHeader read_header(const SafetensorsFile& file);

/// Puts the state of `file` into `trainer`, which then goes on as if it had never stopped. Throws
/// Error, naming what differs, when the checkpoint is of another model, batch, optimizer, corpus
/// or vocabulary; the trainer must then not be used. Returns the settings it was saved with.
Settings restore(const SafetensorsFile& file, Trainer& trainer, const Corpus& corpus);

/// Both: opens the checkpoint at `path` and restores from it.
Settings load_checkpoint(const std::filesystem::path& path, Trainer& trainer, const Corpus& corpus);

/// A model alone, to evaluate or to generate with; in the precision it was trained in, or if that
/// cannot run here in f32.
struct LoadedModel {
  CheckpointHeader header;
  std::unique_ptr<Transformer> model;
  std::string note;  ///< what the user should know; empty if nothing
};
LoadedModel load_model(const std::filesystem::path& path);

/// Copies all parameters. Throws Error as copy_tensor does, and when a value is out of its bounds.
void copy_weights(Transformer& model, const SafetensorsFile& file);

/// Copies tensor `name` of `file` into `to`. Throws Error when shapes or types differ.
void copy_tensor(Tensor& to, const SafetensorsFile& file, const std::string& name);

/// The corpus at `data`, or if that is empty the one the checkpoint was trained on. Throws Error as
/// Corpus::open and check_vocabulary do.
Corpus open_corpus(const CheckpointHeader& header, const std::string& data);

/// Throws Error, with both, unless `corpus` has the vocabulary of the checkpoint, or as many tokens
/// where that is all that is known.
void check_vocabulary(const CheckpointHeader& header, const Corpus& corpus);

}  // namespace adaspan
