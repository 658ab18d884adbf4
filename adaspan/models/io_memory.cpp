// SPDX-License-Identifier: MIT
#include "adaspan/models/io_memory.h"

#include <algorithm>

#include "adaspan/models/clusters.h"
#include "adaspan/ops/workspace.h"

namespace adaspan {
namespace {

/// Vectors and projections of all clusters.
double table_weights(const ModelConfig& c) {
  double sum = 0;
  for (const Cluster& cluster : clusters_of(c)) {
    sum += static_cast<double>(cluster.width) * static_cast<double>(cluster.size + c.hidden);
  }
  return sum;
}

double tails(const ModelConfig& c) {
  return static_cast<double>(c.adaptive_io.cutoffs.size());
}

double h_bytes(const ModelConfig& c, int64_t rows) {
  return buffer_bytes(static_cast<double>(rows) * c.hidden, c.precision);
}

LogitSizes head_logits(const ModelConfig& c, int64_t rows) {
  return {rows, c.hidden, clusters_of(c)[0].size, c.precision};
}

/// Losses, log-sums, targets and places of the head and of the rare clusters.
double row_numbers(int64_t rows) {
  return 12 * buffer_bytes(static_cast<double>(rows));
}

HeadMemory full_training(const ModelConfig& c, int64_t rows) {
  const LinearSizes sizes{rows, c.hidden, c.vocabulary, c.precision, DType::f32};
  const double h = h_bytes(c, rows);
  const double logits = buffer_bytes(static_cast<double>(rows) * c.vocabulary);
  const double workspace = linear_backward_workspace(sizes);
  return {.forward = {{h + 2 * logits, 0}},
          .backward = {{2 * h + logits, workspace}},
          .others = workspace + buffer_bytes(static_cast<double>(c.vocabulary) * c.hidden)};
}

HeadMemory full_evaluation(const ModelConfig& c, int64_t rows, HeadResult result) {
  if (result == HeadResult::token_losses) {
    const LogitSizes all{rows, c.hidden, c.vocabulary, c.precision};
    return {.forward = {{row_numbers(rows), linear_cross_entropy_workspace(all)}},
            .backward = {},
            .others = 0};
  }
  const LinearSizes sizes{rows, c.hidden, c.vocabulary, c.precision, DType::f32};
  const double logits = buffer_bytes(static_cast<double>(rows) * c.vocabulary);
  return {.forward = {{logits, linear_workspace(sizes)}}, .backward = {}, .others = logits};
}

/// h of rare words, and their t.
double gathered(const ModelConfig& c, int64_t rows) {
  const auto width = static_cast<double>(clusters_of(c)[1].width);
  return h_bytes(c, rows) + buffer_bytes(static_cast<double>(rows) * width, c.precision);
}

HeadMemory adaptive_training(const ModelConfig& c, int64_t rows) {
  const double h = h_bytes(c, rows), t_0 = h, of_tails = gathered(c, rows);
  const double numbers = row_numbers(rows);
  const double forward = linear_cross_entropy_workspace(head_logits(c, rows));
  const double backward = linear_cross_entropy_backward_workspace(head_logits(c, rows));
  return {.forward = {{h + t_0 + of_tails + numbers, forward}},
          // dh is there from the rare clusters on; before the head, what they saved has gone.
          .backward = {{2 * h + t_0 + 2 * of_tails + numbers, 0},
                       {2 * h + 2 * t_0 + numbers, backward}},
          .others = backward};
}

HeadMemory adaptive_evaluation(const ModelConfig& c, int64_t rows) {
  const double t_0 = h_bytes(c, rows), numbers = row_numbers(rows);
  return {.forward = {{t_0 + gathered(c, rows) + numbers,
                       linear_cross_entropy_workspace(head_logits(c, rows))}},
          .backward = {},
          .others = 0};
}

}  // namespace

double output_weights(const ModelConfig& c) {
  const double H = static_cast<double>(c.hidden), V = static_cast<double>(c.vocabulary);
  if (!c.adaptive_io.on) return (H + 1) * V;
  return table_weights(c) + V + tails(c) * (H + 1);
}

double input_weights(const ModelConfig& c) {
  if (!c.adaptive_io.on) return static_cast<double>(c.vocabulary) * c.hidden;
  return c.adaptive_io.tied ? 0 : table_weights(c);
}

HeadMemory head_training_memory(const ModelConfig& c, int64_t rows) {
  return c.adaptive_io.on ? adaptive_training(c, rows) : full_training(c, rows);
}

HeadMemory head_evaluation_memory(const ModelConfig& c, int64_t rows, HeadResult result) {
  if (result == HeadResult::none) return {.forward = {}, .backward = {}, .others = 0};
  return c.adaptive_io.on ? adaptive_evaluation(c, rows) : full_evaluation(c, rows, result);
}

double saved_by_input(const ModelConfig& c, int64_t rows) {
  return c.adaptive_io.on ? h_bytes(c, rows) : 0;  // vectors before their projection
}

HeadMoment input_backward_memory(const ModelConfig& c, int64_t rows) {
  const double h = h_bytes(c, rows);
  if (!c.adaptive_io.on) return {h, 0};
  return {3 * h, linear_backward_workspace({rows, c.hidden, c.hidden, c.precision, c.precision})};
}

}  // namespace adaspan
