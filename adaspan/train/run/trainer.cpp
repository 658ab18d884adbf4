// SPDX-License-Identifier: MIT
#include "adaspan/train/run/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/train/run/evaluate.h"
#include "adaspan/train/run/fixed_validation.h"

namespace adaspan {
namespace {

TrainingConfig checked(TrainingConfig config, const DataIdentity& data) {
  require(config.model.vocabulary == 0 || config.model.vocabulary == data.vocabulary,
          "[train] expected model.vocabulary of {}, as the data have it, or 0; got {}",
          data.vocabulary, config.model.vocabulary);
  config.model.vocabulary = data.vocabulary;
  check(config);
  return config;
}

/// nan for one of either sign
double unsigned_nan(double x) {
  return std::isnan(x) ? std::abs(x) : x;
}

/// sum += more, of each layer and head; an empty sum is 0
void add_to(SpanGradients& sum, const SpanGradients& more) {
  if (sum.empty()) {
    sum = more;
    return;
  }
  for (size_t l = 0; l < more.size(); ++l) {
    for (size_t h = 0; h < more[l].size(); ++h) sum[l][h] += more[l][h];
  }
}

bool is_rolling(const TrainingConfig& config) {
  return config.run.validation == ValidationMode::rolling;
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
      guard_(config_.run.divergence) {
  if (const double decay = config_.optimizer.average; decay > 0) {
    average_.emplace(model_.parameters().all(), decay);
  }
  if (is_rolling(config_)) valid_memory_ = model_.fresh_memory(config_.batch.sequences);
}

StepReport Trainer::step() {
  const FlushDenormals flush;
  const Timed timed("trainer", 0, 0);  // without what follows: the report, gradients given back
  StepReport report;
  report.step = step_ + 1;
  const BlockReader::Position before = train_.position();
  const Block block = train_.next();
  int64_t part = 0;
  try {
    for (; part < parts(); ++part) {
      accumulate(part_of(block, part * part_size(), part_size()), part, report);
    }
  } catch (const OutOfMemory& e) {
    undo(before, part, e.what());
    throw;
  } catch (const std::bad_alloc& e) {
    undo(before, part, e.what());
    throw OutOfMemory("[train] expected more memory for a step; the system has none left");
  }
  const GradientNorms norms = gradient_norms(model_.parameters().all());
  report.gradient_norm = norms.all;
  report.learning_rate = learning_rate_at(report.step, config_);
  report.span_penalty = span_penalty(config_.model);
  report.skips = guard_.state().skips;
  if (guard_.diverged(report.loss, report.gradient_norm)) {
    skip(report);
    return report;
  }

  guard_.accept(report.gradient_norm);
  report.clipped = clipped_share(config_.optimizer, norms);
  optimizer_->update(report.learning_rate, updates_done() + 1, norms);
  if (average_) average_->update();
  for (Parameter* parameter : model_.parameters().all()) parameter->clear_grad();
  step_ = report.step;
  losses_.training = report.loss;
  doctor_.add(report.span_gradients, report.mean_z);
  report.penalty_too_high = doctor_.warns(step_, report.span_penalty);
  return report;
}

int64_t Trainer::updates_done() const {
  return step_ - guard_.state().skips + (origin_ ? origin_->optimizer_steps : 0);
}

void Trainer::skip(StepReport& report) {
  if (!guard_.may_skip()) fail_diverged(report);
  for (Parameter* parameter : model_.parameters().all()) parameter->clear_grad();
  if (!std::isfinite(report.loss) || !std::isfinite(report.gradient_norm)) {
    // Whatever made them so may be in the memory, which later blocks would read.
    for (Memory& memory : memory_) memory = model_.fresh_memory(part_size());
  }
  guard_.skip();
  report.skipped = true;
  report.skips = guard_.state().skips;
  report.skips_in_a_row = guard_.state().in_a_row;
  step_ = report.step;
}

void Trainer::fail_diverged(const StepReport& report) const {
  const int64_t skips = guard_.state().in_a_row;
  const std::string after =
      skips > 0 ? fmt::format(", after {} skipped in a row before it", skips) : "";
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.gradient_norm);
  const std::string expected =
      finite ? fmt::format("a gradient of at most {} times the mean length of {:.4g}",
                           config_.run.divergence.factor, guard_.mean_norm())
             : "a finite loss and gradient";
  fail(
      "[train] expected {}; got {} and {} at step {}{}; what was saved stays; try a smaller "
      "schedule.learning_rate, a longer schedule.warmup or optimizer.grad_clip",
      expected, unsigned_nan(report.loss), unsigned_nan(report.gradient_norm), report.step, after);
}

void Trainer::undo(const BlockReader::Position& before, int64_t part, const char* why) {
  for (Parameter* parameter : model_.parameters().all()) parameter->clear_grad();
  train_.seek(before);
  // The memory of the parts before has moved on, and what it was is gone.
  require(part == 0, "{}; part {} of step {} failed: the last checkpoint is kept", why, part + 1,
          step_ + 1);
}

void Trainer::accumulate(const Block& part, int64_t index, StepReport& report) {
  Memory& memory = memory_[index];
  if (part.starts_stream) memory = model_.fresh_memory(part_size());
  const TrainingStep training{.seed = seed(),
                              .step = static_cast<uint32_t>(report.step),
                              .first_sequence = index * part_size(),
                              .batch = config_.batch.sequences,
                              .recompute = config_.batch.recompute};
  const auto share = static_cast<float>(1.0 / static_cast<double>(parts()));

  Tape tape;
  BlockLoss out = model_.loss(tape, part.inputs, part.targets, memory, training);
  tape.backward(scale(tape, out.total, share));
  memory = std::move(out.memory);
  add_to(report.span_gradients, *out.span_gradients);  // which have their share

  report.loss += out.nll * share;
  report.span_loss += out.span_loss * share;
  report.mean_z.resize(out.mean_z.size());
  report.widest_z.resize(out.widest_z.size());
  for (size_t l = 0; l < out.mean_z.size(); ++l) {
    report.mean_z[l].resize(out.mean_z[l].size());
    report.widest_z[l].resize(out.widest_z[l].size());
    for (size_t h = 0; h < out.mean_z[l].size(); ++h) {
      report.mean_z[l][h] += out.mean_z[l][h] * share;
      report.widest_z[l][h] = std::max(report.widest_z[l][h], out.widest_z[l][h]);
    }
  }
}

ValidationReport Trainer::validate() {
  const bool rolling = is_rolling(config_);
  const BlockReader::Position before = valid_.position();
  Memory memory = valid_memory_;
  double loss = 0;
  try {
    loss = rolling ? evaluate(model_, valid_,
                              std::max<int64_t>(1, config_.run.steps_per_round / 10), memory)
                         .loss
                   : fixed_validation_loss(model_, valid_, config_.batch.sequences,
                                           validation_blocks());
    require(std::isfinite(loss),
            "[train] expected a finite validation loss; got {} after step {}; what was saved "
            "stays; try a smaller schedule.learning_rate, a longer schedule.warmup or "
            "optimizer.grad_clip",
            unsigned_nan(loss), step_);
  } catch (...) {
    valid_.seek(before);
    throw;
  }
  valid_memory_ = std::move(memory);
  const bool best = loss < losses_.best_validation;
  losses_.validation = loss;
  if (best) losses_.best_validation = loss;
  losses_.without_best = best ? 0 : losses_.without_best + 1;
  return {.step = step_, .loss = loss, .best = best, .without_best = losses_.without_best};
}

int64_t validation_blocks(const TrainingConfig& config, int64_t tokens) {
  const int64_t all = (tokens / config.batch.sequences - 1) / config.batch.block;
  const int64_t cheap = std::max<int64_t>(1, (3 * config.run.steps_per_round - 1) / 10);
  return std::min(cheap, all);
}

int64_t Trainer::validation_blocks() const {
  return adaspan::validation_blocks(config_, valid_.size());
}

bool Trainer::validates_as(const TrainingConfig& before) const {
  if (before.run.validation != config_.run.validation) return false;
  return is_rolling(config_) ||
         adaspan::validation_blocks(before, valid_.size()) == validation_blocks();
}

Trainer::Progress Trainer::progress() const {
  return {.step = step_,
          .train = train_.position(),
          .valid = valid_.position(),
          .losses = losses_,
          .origin = origin_,
          .doctor = doctor_.state(),
          .guard = guard_.state(),
          .averaged = average_ ? average_->updates() : 0};
}

void Trainer::restore(Progress progress) {
  require(progress.step >= 0 && progress.step < kMostSteps,
          "[train] expected from 0 to {} steps done; got {}; the checkpoint is damaged", kMostSteps,
          progress.step);
  train_.seek(progress.train);
  if (remembers(MemoryOf::valid)) valid_.seek(progress.valid);
  doctor_.restore(std::move(progress.doctor), config_.model.layers, config_.model.heads);
  guard_.restore(progress.guard);
  if (average_) average_->set_updates(progress.averaged);
  losses_ = progress.losses;
  origin_ = std::move(progress.origin);
  step_ = progress.step;
}

bool Trainer::remembers(MemoryOf text) const {
  return text == MemoryOf::train || is_rolling(config_);
}

std::vector<LayerMemory> Trainer::layer_memory(MemoryOf text, int64_t layer) const {
  const auto l = static_cast<size_t>(layer);
  if (text == MemoryOf::valid) return {valid_memory_.at(l)};
  std::vector<LayerMemory> parts;
  for (const Memory& part : memory_) parts.push_back(part[l]);
  return parts;
}

void Trainer::set_layer_memory(MemoryOf text, int64_t layer,
                               const std::vector<LayerMemory>& parts) {
  const auto l = static_cast<size_t>(layer);
  if (text == MemoryOf::valid) {
    valid_memory_.at(l) = parts.at(0);
    return;
  }
  for (size_t i = 0; i < memory_.size(); ++i) memory_[i][l] = parts.at(i);
}

}  // namespace adaspan
