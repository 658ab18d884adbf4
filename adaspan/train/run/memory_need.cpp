// SPDX-License-Identifier: MIT
#include "adaspan/train/run/memory_need.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "adaspan/core/parallel.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/train/run/fixed_validation.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

// Measured, as resident memory beyond the pool's, of trainings of a few MB to some GB: pages of the
// program and its libraries, the code that oneDNN makes for each product, heap; for each thread
// more.
constexpr double kProgram = 19e6, kProgramAlone = 7e6, kThread = 2e6;

// Addresses that are mapped and never touched. A thread has a heap of its own (glibc reserves 64
// MB) and a stack (8 MB); a tensor lies at a multiple of 2 MB, for huge pages.
constexpr double kThreadAddresses = 72e6, kAlignment = 2e6;
constexpr double kBuffersOfLayer = 12;

// What the pool keeps beyond the most that is in use at once: blocks that were handed out a little
// larger than asked for (measured: 8%), and those of sizes that come no more. core/buffer_pool
// gives back what goes beyond a sixteenth of the most in use and 64 MiB.
constexpr double kUnfitting = 0.08;
double kept_by_pool(double in_use, double other_sizes) {
  return std::min(in_use / 16 + 67e6, kUnfitting * in_use + other_sizes);
}

double tensors_of(const MemoryNeed& n) {
  return n.weights + n.gradients + n.optimizer + n.activations + n.memory + n.workspace;
}

/// The need with what no phase of the work changes. other_sizes: of buffers that other phases have.
MemoryNeed whole(MemoryNeed need, const ModelConfig& config, double other_sizes) {
  need.kept = kept_by_pool(tensors_of(need), other_sizes);
  need.process = kProgram + kThread * threads();
  const double buffers = std::min(kBuffersOfLayer * config.layers, tensors_of(need) / kAlignment);
  need.untouched = kThreadAddresses * threads() + kAlignment * buffers;
  return need;
}

/// The phase that needs most.
MemoryNeed largest(const std::vector<MemoryNeed>& phases) {
  return *std::ranges::max_element(phases, {}, tensors_of);
}

void add(MemoryNeed& need, const BlockMemory& block) {
  need.activations = block.activations;
  need.gradients = block.gradients;
  need.workspace = block.workspace;
}

}  // namespace

double MemoryNeed::total() const {
  return tensors_of(*this) + kept + process;
}

std::string bytes_text(double bytes) {
  return bytes < 0.95e9 ? fmt::format("{:.0f} MB", bytes / 1e6)
                        : fmt::format("{:.1f} GB", bytes / 1e9);
}

std::string MemoryNeed::text() const {
  std::vector<std::pair<double, const char*>> kinds = {
      {weights, "weights"},         {gradients, "gradients"}, {optimizer, "optimizer"},
      {activations, "activations"}, {memory, "memory"},       {workspace, "workspace"},
      {kept + process, "program"}};
  std::ranges::stable_sort(kinds, std::greater(), &std::pair<double, const char*>::first);
  std::string all;
  for (const auto& [bytes, kind] : kinds) {
    if (bytes < total() / 50) break;
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", kind, bytes_text(bytes));
  }
  return all;
}

MemoryNeed weights_need(const ModelConfig& config) {
  MemoryNeed need;
  need.weights = parameter_count(config) * sizeof(float);
  need.process = kProgram;
  return need;
}

MemoryNeed training_need(const TrainingConfig& c, const Spans& z) {
  const int64_t parts = c.batch.parts(), past = c.run.steps() * c.batch.block;
  const bool rolling = c.run.validation == ValidationMode::rolling;
  const int64_t rows = rolling ? c.batch.sequences : validation_rows(c.batch.sequences);
  const BlockSizes part{c.batch.sequences / parts, c.batch.block, past};
  const BlockSizes looked_at{rows, c.batch.block, past};
  MemoryNeed step = weights_need(c.model);
  step.optimizer = step.weights * state_slots(c.optimizer.kind);
  if (c.optimizer.average > 0) step.weights *= 2;
  step.memory = parts * kept_memory(c.model, part, z);
  MemoryNeed validation = step;
  const double validated = kept_memory(c.model, looked_at, z);
  validation.memory += validated;
  if (rolling) step.memory += validated;

  const BlockMemory trained = training_memory(
      c.model, part, z, {.gradients_kept = parts > 1, .recompute = c.batch.recompute});
  const BlockMemory seen = evaluation_memory(c.model, looked_at, z, HeadResult::loss);
  add(step, trained);
  add(validation, seen);
  // Buffers of a validation stay at hand.
  const bool same_sizes = part.B == rows;
  return whole(largest({step, validation}), c.model,
               trained.others + (rolling ? 0 : validated) + (same_sizes ? 0 : seen.activations));
}

MemoryNeed evaluation_need(const ModelConfig& config, int64_t B, int64_t M, int64_t tokens,
                           const Spans& z) {
  const BlockSizes n{B, M, tokens / B};
  MemoryNeed need = weights_need(config);
  need.memory = kept_memory(config, n, z);
  const BlockMemory block = evaluation_memory(config, n, z, HeadResult::token_losses);
  add(need, block);
  return whole(need, config, block.others);
}

MemoryNeed generation_need(const ModelConfig& config, int64_t prompt, const DecoderOptions& options,
                           const Spans& z) {
  // The prompt's tokens but the last are read in blocks; their keys and values are then made of
  // each layer's memory.
  MemoryNeed need = weights_need(config);
  need.workspace = decoder_memory(config, options, z);
  if (prompt < 2) {  // no block, and none of the library's products
    need.process = kProgramAlone + kThread * threads();
    return need;
  }
  const BlockSizes n{1, std::min(prompt - 1, Decoder::kBlock), prompt};
  MemoryNeed reading = need;
  reading.memory = kept_memory(config, n, z);
  const BlockMemory read = evaluation_memory(config, n, z, HeadResult::none);
  reading.activations = read.activations;
  reading.workspace += read.workspace;
  return whole(largest({need, reading}), config, read.others);
}

}  // namespace adaspan
