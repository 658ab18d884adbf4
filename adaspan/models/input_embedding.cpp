// SPDX-License-Identifier: MIT
#include "adaspan/models/input_embedding.h"

#include <fmt/core.h>

#include <cmath>

#include "adaspan/ops/embedding.h"
#include "adaspan/ops/linear.h"
#include "adaspan/ops/rows.h"

namespace adaspan {
namespace {

class TableEmbedding : public InputEmbedding {
 public:
  TableEmbedding(const ModelConfig& config, ParameterStore& store)
      : type_(config.precision),
        table_(store.add("in_emb.weight", random_site(kModelItself, RandomRole::input_embedding),
                         {config.vocabulary, config.hidden}, Initialiser::normal(1))) {}

  Variable forward(Tape& tape, const Tensor& ids) const override {
    return embedding(tape, table_.variable(), ids, type_);
  }

 private:
  DType type_;
  Parameter& table_;
};

class AdaptiveEmbedding : public InputEmbedding {
 public:
  AdaptiveEmbedding(const ModelConfig& config, ParameterStore& store)
      : type_(config.precision),
        factor_(static_cast<float>(std::sqrt(static_cast<double>(config.hidden)))),
        clusters_(clusters_of(config)) {
    std::vector<Parameter*> vectors;
    for (size_t i = 0; i < clusters_.size(); ++i) {
      const Cluster& c = clusters_[i];
      vectors.push_back(&store.add(fmt::format("in_emb.emb_layers.{}.weight", i),
                                   cluster_site(RandomRole::input_embedding, i), {c.size, c.width},
                                   Initialiser::normal(1)));
    }
    for (size_t i = 0; i < clusters_.size(); ++i) {
      const int64_t width = clusters_[i].width;
      tables_.push_back(
          {*vectors[i], store.add(fmt::format("in_emb.emb_projs.{}", i),
                                  cluster_site(RandomRole::input_projection, i),
                                  {config.hidden, width}, Initialiser::fan_in(width))});
    }
  }

  Variable forward(Tape& tape, const Tensor& ids) const override {
    std::vector<Variable> parts;
    std::vector<Tensor> places;
    std::vector<ClusterRows> rows = rows_by_cluster(clusters_, ids, /*filler=*/0);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Variable vectors =
          embedding(tape, tables_[i].vectors.variable(), rows[i].ids, type_);    // [k,d]
      parts.push_back(linear(tape, vectors, tables_[i].projection.variable()));  // [k,H]
      places.push_back(std::move(rows[i].rows));
    }
    return scatter_rows(tape, parts, places, ids.shape(), factor_);
  }

  std::vector<ClusterTables> tables() const override { return tables_; }

 private:
  DType type_;
  float factor_;  // sqrt(H)
  std::vector<Cluster> clusters_;
  std::vector<ClusterTables> tables_;
};

}  // namespace

std::unique_ptr<InputEmbedding> make_input_embedding(const ModelConfig& config,
                                                     ParameterStore& store) {
  if (config.adaptive_io.on) return std::make_unique<AdaptiveEmbedding>(config, store);
  return std::make_unique<TableEmbedding>(config, store);
}

}  // namespace adaspan
