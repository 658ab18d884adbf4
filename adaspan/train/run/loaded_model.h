// SPDX-License-Identifier: MIT
// A trained model without its run: to evaluate, to generate with, to look at.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <adaspan/train/data/corpus.h>
#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/evaluate.h>
#include <adaspan/train/run/score.h>

namespace adaspan {

/// In the precision it was trained in, or if that cannot run here in f32.
struct LoadedModel {
  CheckpointHeader header;
  std::unique_ptr<Transformer> model;
  std::string note;  ///< what the user should know; empty if nothing
};
/// Throws Error as open_checkpoint, read_header and copy_weights do, and when the checkpoint keeps
/// no such weights; OutOfMemory when there is not enough for them.
LoadedModel load_model(const std::filesystem::path& path, Weights weights = Weights::last);

/// The corpus at `data`, or if that is empty the one the checkpoint was trained on. Throws Error as
/// Corpus::open and check_vocabulary do.
Corpus open_corpus(const CheckpointHeader& header, const std::string& data);

struct PartEvaluation : Evaluation {
  Score score;
};
/// The model's loss over a whole part of a corpus, in blocks of the length it was trained with.
/// Throws Error as evaluate does, and when the loss is not finite; OutOfMemory when there is not
/// enough for it.
PartEvaluation evaluate_part(const LoadedModel& loaded, const Corpus& corpus, Part part);

}  // namespace adaspan
