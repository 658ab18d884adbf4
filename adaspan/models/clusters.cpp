// SPDX-License-Identifier: MIT
#include "adaspan/models/clusters.h"

#include <algorithm>
#include <bit>

#include "adaspan/core/error.h"
#include "adaspan/ops/rows.h"

namespace adaspan {
namespace {

Tensor as_tensor(const std::vector<int32_t>& values) {
  return Tensor::of({static_cast<int64_t>(values.size())}, values);
}

}  // namespace

std::vector<Cluster> clusters_of(const ModelConfig& config) {
  std::vector<Cluster> all;
  std::vector<int64_t> ends = config.adaptive_io.cutoffs;
  ends.push_back(config.vocabulary);
  int64_t first = 0, width = config.hidden;  // floor(floor(H/a)/a) = floor(H/a^2)
  for (int64_t end : ends) {
    all.push_back({first, end - first, width});
    first = end;
    width /= config.adaptive_io.divval;
  }
  return all;
}

int64_t planned_rows(int64_t n) {
  if (n <= 0) return 0;
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(n)));
  const int64_t step = std::max<int64_t>(32, power / 8);
  return (n + step - 1) / step * step;
}

std::vector<ClusterRows> rows_by_cluster(const std::vector<Cluster>& clusters, const Tensor& ids,
                                         int32_t filler) {
  const int64_t V = clusters.back().first + clusters.back().size;
  std::vector<std::vector<int32_t>> rows(clusters.size()), within(clusters.size());
  for (int64_t t = 0; t < ids.elements(); ++t) {
    const int64_t id = ids.data<int32_t>()[t];
    require(id >= 0 && id < V,
            "[adaptive_io] expected ids in [0, {}); got {}; is the corpus of another vocabulary "
            "than the model?",
            V, id);
    size_t i = 0;
    while (id >= clusters[i].first + clusters[i].size) ++i;
    rows[i].push_back(static_cast<int32_t>(t));
    within[i].push_back(static_cast<int32_t>(id - clusters[i].first));
  }
  std::vector<ClusterRows> all;
  for (size_t i = 0; i < clusters.size(); ++i) {
    const auto planned = static_cast<size_t>(planned_rows(static_cast<int64_t>(rows[i].size())));
    rows[i].resize(planned, kNoRow);
    within[i].resize(planned, filler);
    all.push_back({as_tensor(rows[i]), as_tensor(within[i])});
  }
  return all;
}

std::vector<double> zipf_shares(const ModelConfig& config) {
  std::vector<double> shares;
  double all = 0;
  for (const Cluster& c : clusters_of(config)) {
    double sum = 0;
    for (int64_t id = c.first; id < c.first + c.size; ++id) sum += 1 / static_cast<double>(id + 1);
    shares.push_back(sum);
    all += sum;
  }
  for (double& share : shares) share /= all;
  return shares;
}

}  // namespace adaspan
