// SPDX-License-Identifier: MIT
// An adaptive vocabulary (Grave et al. 2017; Baevski and Auli 2019): ids, sorted by falling
// frequency, are cut into clusters, and the rarer a cluster, the narrower its vectors.
//   cluster i: ids [c_{i-1}, c_i), c the cut-offs from 0 to V; width d_i = floor(H / divval^i)
#pragma once

#include <cstdint>
#include <vector>

#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

struct Cluster {
  int64_t first;  ///< id
  int64_t size;   ///< ids
  int64_t width;  ///< d_i
};

/// The clusters of an adaptive configuration, the most frequent one first.
std::vector<Cluster> clusters_of(const ModelConfig& config);

/// The parameters of a cluster, at the input or the output.
struct ClusterTables {
  Parameter& vectors;     ///< E_i [size, d_i]
  Parameter& projection;  ///< P_i [H, d_i]
};

/// Rows of a block whose ids are of one cluster. Their number is rounded up to one of a few, so
/// that products of few extents are planned: the rest are kNoRow.
struct ClusterRows {
  Tensor rows;  ///< [k] int32, places in the block
  Tensor ids;   ///< [k] int32, within the cluster; `filler` where there is no row
};

/// The rows of each cluster. Throws Error when an id is not in [0, V).
std::vector<ClusterRows> rows_by_cluster(const std::vector<Cluster>& clusters, const Tensor& ids,
                                         int32_t filler);

/// n rounded up to a multiple of 32 and, from 512 on, of an eighth of a power of two.
int64_t planned_rows(int64_t n);

/// For each cluster its share of a text in which the frequency of a word is proportional to 1 /
/// (id + 1) (Zipf), as that of words about is.
std::vector<double> zipf_shares(const ModelConfig& config);

}  // namespace adaspan
