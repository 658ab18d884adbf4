// SPDX-License-Identifier: MIT
// A trained model without its run: to evaluate, to generate with, to look at.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <adaspan/train/data/corpus.h>
#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/exact_evaluation.h>
#include <adaspan/train/run/score.h>
#include <adaspan/train/run/text_blocks.h>

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

/// Which tokens of a part are scored, and with what before them (docs/evaluation.md).
enum class Protocol {
  exact,     ///< each token but the first, with all that the model can see
  reference  ///< the paper's program: 8 rows from empty memory, the last partial block dropped
};
const char* name(Protocol protocol);

struct PartEvaluation : Evaluation {
  Protocol protocol = Protocol::exact;
  EvaluationPlan plan;  ///< its rows, blocks and overlap
  int64_t not_scored = 0;
  Score score;
  TextBlocks blocks;  ///< for standard errors
};
/// The model's loss over a whole part of a corpus. Throws Error as plan_exact or evaluate does,
/// when a `shape` is given for the reference's protocol, and when the loss is not finite;
/// OutOfMemory when there is not enough for it.
PartEvaluation evaluate_part(const LoadedModel& loaded, const Corpus& corpus, Part part,
                             Protocol protocol = Protocol::exact,
                             const EvaluationShape& shape = {});

}  // namespace adaspan
