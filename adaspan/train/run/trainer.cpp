// SPDX-License-Identifier: MIT
#include "adaspan/train/run/trainer.h"

#include <algorithm>
#include <cmath>

#include "adaspan/core/error.h"
#include "adaspan/ops/cross_entropy.h"
#include "adaspan/ops/elementwise.h"

namespace adaspan {
namespace {

TrainingConfig checked(TrainingConfig config, const DataIdentity& data) {
  config.model.vocabulary = data.vocabulary;
  check(config);
  return config;
}

}  // namespace

Trainer::Trainer(const TrainingConfig& config, DataIdentity data, TokenStream train,
                 TokenStream valid)
    : config_(checked(config, data)),
      data_(std::move(data)),
      model_(config_.model, seed()),
      optimizer_(make_optimizer(config_.optimizer, model_.parameters().all())),
      train_(std::move(train), config_.batch.sequences, config_.batch.block, seed()),
      valid_(std::move(valid), config_.batch.sequences, config_.batch.block, seed()),
      memory_(static_cast<size_t>(parts()), model_.fresh_memory(part_size())),
      valid_memory_(model_.fresh_memory(config_.batch.sequences)) {}

StepReport Trainer::step() {
  StepReport report;
  report.step = step_ + 1;
  const Block block = train_.next();
  for (int64_t i = 0; i < parts(); ++i) {
    accumulate(part_of(block, i * part_size(), part_size()), i, report);
  }
  const GradientNorms norms = gradient_norms(model_.parameters().all());
  report.gradient_norm = norms.all;
  require(std::isfinite(report.loss) && std::isfinite(report.gradient_norm),
          "[train] expected a finite loss and gradient; got {} and {} at step {}; the last "
          "checkpoint is kept; try a smaller schedule.learning_rate, a longer schedule.warmup or "
          "optimizer.grad_clip",
          report.loss, report.gradient_norm, report.step);

  report.learning_rate =
      learning_rate_at(report.step, config_.schedule.learning_rate, config_.schedule.warmup);
  optimizer_->update(report.learning_rate, report.step, norms);
  model_.clamp_spans();
  for (Parameter* parameter : model_.parameters().all()) parameter->clear_grad();
  step_ = report.step;
  losses_.training = report.loss;
  return report;
}

void Trainer::accumulate(const Block& part, int64_t index, StepReport& report) {
  Memory& memory = memory_[index];
  if (part.starts_stream) memory = model_.fresh_memory(part_size());
  const Dropout dropout{.key = {.seed = seed(),
                                .purpose = Purpose::dropout,
                                .step = static_cast<uint32_t>(report.step)},
                        .first_sequence = index * part_size(),
                        .batch = config_.batch.sequences};
  const auto share = static_cast<float>(1.0 / static_cast<double>(parts()));

  Tape tape;
  TransformerOutput out = model_.forward(tape, part.inputs, memory, &dropout);
  const Variable nll = cross_entropy(tape, out.logits, part.targets);
  const Variable loss = out.span_loss ? add(tape, nll, out.span_loss) : nll;
  tape.backward(scale(tape, loss, share));
  memory = std::move(out.memory);

  report.loss += nll.value().item() * share;
  if (out.span_loss) report.span_loss += out.span_loss.value().item() * share;
  report.spans.resize(out.spans.size());
  for (size_t l = 0; l < out.spans.size(); ++l) {
    report.spans[l].resize(out.spans[l].size());
    for (size_t h = 0; h < out.spans[l].size(); ++h) {
      report.spans[l][h] += out.spans[l][h] * share;
    }
  }
}

ValidationReport Trainer::validate() {
  const int64_t blocks = std::max<int64_t>(1, config_.run.steps_per_round / 10);
  double sum = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    const Block block = valid_.next();
    if (block.starts_stream) valid_memory_ = model_.fresh_memory(config_.batch.sequences);
    Tape tape(Tape::Mode::evaluation);
    TransformerOutput out = model_.forward(tape, block.inputs, valid_memory_);
    sum += cross_entropy(tape, out.logits, block.targets).value().item();
    valid_memory_ = std::move(out.memory);
  }
  const double loss = sum / static_cast<double>(blocks);
  require(
      std::isfinite(loss),
      "[train] expected a finite validation loss; got {} after step {}; the last checkpoint is "
      "kept; try a smaller schedule.learning_rate, a longer schedule.warmup or optimizer.grad_clip",
      loss, step_);
  const bool best = loss < losses_.best_validation;
  losses_.validation = loss;
  if (best) losses_.best_validation = loss;
  return {.step = step_, .loss = loss, .best = best};
}

Trainer::Progress Trainer::progress() const {
  return {.step = step_,
          .train = train_.position(),
          .valid = valid_.position(),
          .memory = side_by_side(memory_),
          .valid_memory = valid_memory_,
          .losses = losses_};
}

void Trainer::restore(Progress progress) {
  constexpr int64_t kMostSteps = std::numeric_limits<uint32_t>::max();  // that dropout's keys tell
  require(progress.step >= 0 && progress.step < kMostSteps,
          "[train] expected from 0 to {} steps done; got {}; the checkpoint is damaged", kMostSteps,
          progress.step);
  train_.seek(progress.train);
  valid_.seek(progress.valid);
  for (int64_t i = 0; i < parts(); ++i) {
    memory_[static_cast<size_t>(i)] = sequences_of(progress.memory, i * part_size(), part_size());
  }
  valid_memory_ = std::move(progress.valid_memory);
  losses_ = progress.losses;
  step_ = progress.step;
}

}  // namespace adaspan
