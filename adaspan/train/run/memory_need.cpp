// SPDX-License-Identifier: MIT
#include "adaspan/train/run/memory_need.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "adaspan/core/parallel.h"
#include "adaspan/models/block_memory.h"

namespace adaspan {
namespace {

using Spans = std::vector<std::vector<float>>;

// What a process has that trains a model of no size: its own pages and those of its libraries, the
// code that oneDNN makes for each product, heap. For each thread more: stack and heap of its own.
constexpr double kProgram = 40e6, kThread = 2e6;

double tensors_of(const MemoryNeed& n) {
  return n.weights + n.gradients + n.optimizer + n.activations + n.memory + n.workspace + n.saving;
}

/// The need with what no phase of the work changes.
MemoryNeed whole(MemoryNeed need) {
  need.process = kProgram + kThread * threads();
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

int64_t slots(OptimizerKind kind) {
  return kind == OptimizerKind::adam ? 2 : 1;
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
      {weights, "weights"},         {gradients, "gradients"},   {optimizer, "optimizer"},
      {activations, "activations"}, {memory, "memory"},         {workspace, "workspace"},
      {saving, "saving"},           {kept + process, "program"}};
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
  return whole(need);
}

MemoryNeed training_need(const TrainingConfig& c, const Spans& z) {
  const int64_t parts = c.batch.parts(), past = c.run.steps() * c.batch.block;
  const BlockSizes part{c.batch.sequences / parts, c.batch.block, past};
  const BlockSizes batch{c.batch.sequences, c.batch.block, past};
  MemoryNeed always = weights_need(c.model);
  always.optimizer = always.weights * slots(c.optimizer.kind);
  const double training = parts * kept_memory(c.model, part, z);
  always.memory = training + kept_memory(c.model, batch, z);

  MemoryNeed step = always, validation = always, saving = always;
  add(step, training_memory(c.model, part, z, /*gradients_kept=*/parts > 1));
  add(validation, evaluation_memory(c.model, batch, z, /*probabilities=*/false));
  // The memory of training is joined from its parts, and both memories layer by layer.
  saving.saving = (parts > 1 ? 3 : 2) * joined_memory(c.model, batch, z);
  return whole(largest({step, validation, saving}));
}

MemoryNeed evaluation_need(const ModelConfig& config, int64_t B, int64_t M, int64_t tokens,
                           const Spans& z) {
  const BlockSizes n{B, M, tokens / B};
  MemoryNeed need = weights_need(config);
  need.memory = kept_memory(config, n, z);
  add(need, evaluation_memory(config, n, z, /*probabilities=*/false));
  return whole(need);
}

MemoryNeed generation_need(const ModelConfig& config, int64_t prompt, int64_t length,
                           const Spans& z) {
  std::vector<MemoryNeed> phases;
  for (const BlockSizes& n : {BlockSizes{1, prompt, 0}, BlockSizes{1, 1, prompt + length}}) {
    MemoryNeed& need = phases.emplace_back(weights_need(config));
    need.memory = kept_memory(config, n, z);
    add(need, evaluation_memory(config, n, z, /*probabilities=*/true));
  }
  return whole(largest(phases));
}

}  // namespace adaspan
