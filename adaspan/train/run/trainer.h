// SPDX-License-Identifier: MIT
// One training step, and all that changes from one to the next.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <adaspan/models/transformer.h>
#include <adaspan/train/data/batches.h>
#include <adaspan/train/data/data_identity.h>
#include <adaspan/train/optim/optimizer.h>
#include <adaspan/train/optim/weight_average.h>
#include <adaspan/train/run/span_doctor.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// Mean negative log-likelihoods, nats; as yet unknown ones are infinite.
struct Losses {
  double training = std::numeric_limits<double>::infinity();    ///< of the last step
  double validation = std::numeric_limits<double>::infinity();  ///< the last one
  double best_validation = std::numeric_limits<double>::infinity();
  int64_t without_best = 0;  ///< validations in a row since the best one
};

/// What a step did.
struct StepReport {
  int64_t step = 0;      ///< updates so far, this one included
  double loss = 0;       ///< mean negative log-likelihood of the block, nats
  double span_loss = 0;  ///< lambda sum over layers of mean z
  double learning_rate = 0;
  double gradient_norm = 0;                  ///< over all parameters, before clipping
  double clipped = 0;                        ///< share of gradients cut (clipped_share)
  std::vector<std::vector<float>> mean_z;    ///< of each layer and head, in steps
  std::vector<std::vector<float>> widest_z;  ///< the same, of the token that looks furthest
  /// d(nll)/dz of each layer and head, and the penalty's, the same for all; see SpanDoctor. Without
  /// layers where spans are fixed.
  SpanGradients span_gradients;
  double span_penalty = 0;
  bool penalty_too_high = false;          ///< as SpanDoctor::warns() says
  bool skipped = false;                   ///< it diverged and made no update; see DivergenceGuard
  int64_t skips = 0, skips_in_a_row = 0;  ///< of the run so far, this one included
};

struct ValidationReport {
  int64_t step = 0;          ///< updates before it
  double loss = 0;           ///< mean negative log-likelihood, nats
  bool best = false;         ///< of all validations so far
  int64_t without_best = 0;  ///< validations in a row since the best one
};

/// The checkpoint whose weights a run began with.
struct Origin {
  std::string path;             ///< as it was given
  std::string sha256;           ///< of the file
  int64_t optimizer_steps = 0;  ///< updates that the optimizer's state remembers from there
};

/// Blocks of a fixed validation on so many tokens: all of them if that costs less than a tenth of a
/// round, else as many as do (at least one). Counted from sizes: a block costs a third of a step.
int64_t validation_blocks(const TrainingConfig& config, int64_t tokens);

class Trainer {
 public:
  /// A fresh model for `data`, whose tokens the streams give; a vocabulary size alone will do for
  /// `data`, and decides the model's. Throws Error when the configuration does not fit, or a stream
  /// is too short for it.
  Trainer(const TrainingConfig& config, DataIdentity data, TokenStream train, TokenStream valid);

  /// The next block of the training stream: forward, backward, update. A step that diverges, as
  /// DivergenceGuard has it, throws Error, naming it, and leaves the parameters as they were; or
  /// with OnDivergence::skip it does all but the update of weights, optimizer and average: text and
  /// step count go on, and the memory, which is emptied where the loss or gradient is not finite.
  /// Too many such steps in a row throw the same Error. What
  /// reading throws (DataLost) leaves all as it was. Throws OutOfMemory when there is no memory for
  /// it: all is then as before the step; or Error when some parts of the batch were done.
  StepReport step();

  /// The loss on the validation stream, in blocks of the shape of training's, [M,B]:
  ///   fixed    the first validation_blocks() of it, from empty memory;
  ///   rolling  the next steps_per_round/10 of it (at least one), going on where the last one
  ///   ended.
  /// Throws Error when it is not finite, and what reading throws; all is then as before.
  ValidationReport validate();

  /// Blocks of a fixed validation.
  int64_t validation_blocks() const;
  /// Whether a validation with the settings of `before` reads the same text as with those of now,
  /// so that their losses can be compared.
  bool validates_as(const TrainingConfig& before) const;
  /// The next validation becomes the best one.
  void forget_best() { losses_ = {.training = losses_.training}; }
  /// Whether run.patience validations in a row were no new best.
  bool out_of_patience() const {
    return config_.run.patience > 0 && losses_.without_best >= config_.run.patience;
  }

  const TrainingConfig& config() const { return config_; }
  const DataIdentity& data() const { return data_; }
  Transformer& model() { return model_; }
  const Transformer& model() const { return model_; }
  int64_t steps_done() const { return step_; }
  int64_t parameters() const { return model_.parameters().elements(); }

  /// Everything else that the next step depends on, for a checkpoint to keep, but for the layers'
  /// memory, of which there is much.
  struct Progress {
    int64_t step = 0;
    BlockReader::Position train, valid;
    Losses losses;
    std::optional<Origin> origin;
    SpanDoctor::State doctor;
    DivergenceGuard::State guard;
    int64_t averaged = 0;  ///< updates that the average of the weights has taken in
  };
  Progress progress() const;
  /// Throws Error when the step is out of range, or a position lies outside of its stream.
  void restore(Progress progress);

  /// Which text a memory is of; of the valid one there is none unless validation rolls.
  enum class MemoryOf { train, valid };
  bool remembers(MemoryOf text) const;
  /// What each part of the batch remembers in a layer, and puts something else in its place.
  std::vector<LayerMemory> layer_memory(MemoryOf text, int64_t layer) const;
  void set_layer_memory(MemoryOf text, int64_t layer, const std::vector<LayerMemory>& parts);
  Optimizer& optimizer() { return *optimizer_; }
  /// The average of the weights; null where there is none.
  WeightAverage* average() { return average_ ? &*average_ : nullptr; }
  const DivergenceGuard& guard() const { return guard_; }
  const Losses& losses() const { return losses_; }
  /// From where the weights came that the run began with, if not from the seed.
  const std::optional<Origin>& origin() const { return origin_; }
  void set_origin(Origin origin) { origin_ = std::move(origin); }

 private:
  int64_t parts() const { return config_.batch.parts(); }
  int64_t part_size() const { return config_.batch.sequences / parts(); }
  uint64_t seed() const { return static_cast<uint64_t>(config_.run.seed); }
  /// Adds the gradients of one part of a block; returns its share of the report.
  void accumulate(const Block& part, int64_t index, StepReport& report);
  /// Ends a step that diverged: without an update, or by an Error.
  void skip(StepReport& report);
  [[noreturn]] void fail_diverged(const StepReport& report) const;
  /// Updates that the optimizer's state remembers: those of this run, and of the one before.
  int64_t updates_done() const;
  /// Takes back a step that failed in its part `part`, if it was the first; else throws Error.
  void undo(const BlockReader::Position& before, int64_t part, const char* why);

  TrainingConfig config_;
  DataIdentity data_;
  Transformer model_;
  std::unique_ptr<Optimizer> optimizer_;
  BlockReader train_, valid_;
  std::vector<Memory> memory_;  // of each part of the batch
  Memory valid_memory_;
  Losses losses_;
  std::optional<Origin> origin_;
  SpanDoctor doctor_;
  DivergenceGuard guard_;
  std::optional<WeightAverage> average_;
  int64_t step_ = 0;
};

}  // namespace adaspan
