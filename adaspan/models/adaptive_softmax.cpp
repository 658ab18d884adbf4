// SPDX-License-Identifier: MIT
#include "adaspan/models/adaptive_softmax.h"

#include <fmt/core.h>

#include <utility>

#include "adaspan/core/parallel.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/gemm.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/linear_cross_entropy.h"
#include "adaspan/ops/log_add.h"
#include "adaspan/ops/rows.h"

namespace adaspan {
namespace {

/// x += shift
void add_to_all(float* x, double shift, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(x[i] + shift);
}

class AdaptiveSoftmax : public OutputHead {
 public:
  AdaptiveSoftmax(const ModelConfig& config, ParameterStore& store, const InputEmbedding& input)
      : clusters_(clusters_of(config)),
        cluster_weight_(store.add("out_emb.cluster_proj.weight",
                                  random_site(kModelItself, RandomRole::cluster_weight),
                                  {tails(), config.hidden}, Initialiser::fan_in(config.hidden))),
        cluster_bias_(store.add("out_emb.cluster_proj.bias",
                                random_site(kModelItself, RandomRole::cluster_bias), {tails()},
                                Initialiser::fan_in(config.hidden))) {
    const bool tied = config.adaptive_io.tied;
    if (tied) tables_ = input.tables();
    std::vector<Parameter*> weights;
    for (size_t i = 0; i < clusters_.size(); ++i) {
      const Cluster& c = clusters_[i];
      const std::string layer = fmt::format("out_emb.out_layers.{}.", i);
      if (!tied) {
        weights.push_back(&store.add(layer + "weight", cluster_site(RandomRole::output_weight, i),
                                     {c.size, c.width}, Initialiser::fan_in(c.width)));
      }
      biases_.push_back(&store.add(layer + "bias", cluster_site(RandomRole::output_bias, i),
                                   {c.size}, Initialiser::fan_in(c.width)));
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const int64_t width = clusters_[i].width;
      tables_.push_back(
          {*weights[i], store.add(fmt::format("out_emb.out_projs.{}", i),
                                  cluster_site(RandomRole::output_projection, i),
                                  {config.hidden, width}, Initialiser::fan_in(width))});
    }
  }

  Variable loss(Tape& tape, const Variable& h, const Tensor& targets) const override {
    return mean(tape, losses(tape, h, targets));
  }

  Tensor token_losses(const Variable& h, const Tensor& targets) const override {
    Tape no_tape(Tape::Mode::evaluation);
    return losses(no_tape, h, targets).value().clone();
  }

  Tensor log_probabilities(const Variable& h) const override;

 private:
  int64_t tails() const { return static_cast<int64_t>(clusters_.size()) - 1; }
  /// The head's column of rare cluster i.
  int64_t column(size_t i) const { return clusters_[0].size + tails() - static_cast<int64_t>(i); }
  LinearPart part(size_t i) const {
    return {tables_[i].vectors.variable(), biases_[i]->variable()};
  }

  /// -log p of each target, [M,B].
  Variable losses(Tape& tape, const Variable& h, const Tensor& targets) const;
  /// What the head says: the word's column, or that of its cluster; and where rare words are.
  Tensor head_targets(const Tensor& targets, const std::vector<ClusterRows>& rows) const;
  /// t_i = h P_i
  Variable projected(Tape& tape, const Variable& h, size_t i) const {
    return matmul(tape, h, tables_[i].projection.variable());
  }
  /// From logits of all words and, in the head's order, of the rare clusters: log p, in place.
  void normalise(float* words, const float* clusters) const;

  std::vector<Cluster> clusters_;
  Parameter& cluster_weight_;          // C [tails, H]
  Parameter& cluster_bias_;            // c [tails]
  std::vector<ClusterTables> tables_;  // W_i, P_i
  std::vector<Parameter*> biases_;     // b_i
};

Tensor AdaptiveSoftmax::head_targets(const Tensor& targets,
                                     const std::vector<ClusterRows>& rows) const {
  Tensor head = targets.clone();
  for (size_t i = 1; i < rows.size(); ++i) {
    for (int32_t row : rows[i].rows.values<int32_t>()) {
      if (row != kNoRow) head.data<int32_t>()[row] = static_cast<int32_t>(column(i));
    }
  }
  return head;
}

Variable AdaptiveSoftmax::losses(Tape& tape, const Variable& h, const Tensor& targets) const {
  std::vector<ClusterRows> rows = rows_by_cluster(clusters_, targets, kNoTarget);
  const Variable t_0 = projected(tape, h, 0);  // [M,B,d_0]
  const LinearPart others{cluster_weight_.variable(), cluster_bias_.variable()};
  const Variable head =
      linear_cross_entropy(tape, t_0, {part(0), others}, head_targets(targets, rows));  // [M,B]
  std::vector<Variable> tails;
  std::vector<Tensor> places;
  for (size_t i = 1; i < clusters_.size(); ++i) {
    const Variable of_cluster = gather_rows(tape, h, rows[i].rows);            // [k,H]
    const Variable t_i = projected(tape, of_cluster, i);                       // [k,d_i]
    tails.push_back(linear_cross_entropy(tape, t_i, {part(i)}, rows[i].ids));  // [k]
    places.push_back(std::move(rows[i].rows));
  }
  return add(tape, head, scatter_rows(tape, tails, places, targets.shape()));
}

Tensor AdaptiveSoftmax::log_probabilities(const Variable& h) const {
  Tape no_tape(Tape::Mode::evaluation);
  const int64_t V = clusters_.back().first + clusters_.back().size;
  Tensor y(h.shape().with_last(V));
  const Variable t_0 = projected(no_tape, h, 0);
  for (size_t i = 0; i < clusters_.size(); ++i) {
    const Variable t = i == 0 ? t_0 : projected(no_tape, h, i);
    const Cluster& c = clusters_[i];
    gemm(matrix(y).columns_of(c.first, c.first + c.size), matrix(t.value()),
         matrix(tables_[i].vectors.variable().value()).transposed(),
         {.bias = biases_[i]->variable().value().data()});
  }
  const Variable of_clusters = linear(no_tape, t_0, cluster_weight_.variable(),
                                      cluster_bias_.variable(), {.type = DType::f32});
  parallel_chunks(h.shape().rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      normalise(y.data() + r * V, of_clusters.value().data() + r * tails());
    }
  });
  return y;
}

void AdaptiveSoftmax::normalise(float* words, const float* clusters) const {
  const RowKernels<>& kernels = row_kernels();
  const double head = log_add(kernels.log_sum_exp(words, clusters_[0].size),
                              kernels.log_sum_exp(clusters, tails()));
  add_to_all(words, -head, clusters_[0].size);
  for (size_t i = 1; i < clusters_.size(); ++i) {
    const auto [first, size, width] = clusters_[i];
    const double log_p = clusters[column(i) - clusters_[0].size] - head;  // of the cluster
    add_to_all(words + first, log_p - double{kernels.log_sum_exp(words + first, size)}, size);
  }
}

}  // namespace

std::unique_ptr<OutputHead> make_adaptive_softmax(const ModelConfig& config, ParameterStore& store,
                                                  const InputEmbedding& input) {
  return std::make_unique<AdaptiveSoftmax>(config, store, input);
}

}  // namespace adaspan
