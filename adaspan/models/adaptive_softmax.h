// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <adaspan/models/input_embedding.h>
#include <adaspan/models/output_head.h>

namespace adaspan {

/// Softmax in two steps (Grave et al. 2017), over the clusters of an adaptive vocabulary. With
/// t_i = h P_i, P_i [H,d_i], and W_i [size, d_i]:
///   head:       softmax of [W_0; C] t_0 + [b_0; c]: the words of cluster 0, then a number for each
///               rarer cluster, cluster i in column -i: the last column is cluster 1
///   cluster i:  softmax of W_i t_i + b_i
///   p(word) = p(cluster) p(word | cluster)
/// For the loss a rare cluster is looked at only where the target lies in it; one without a target
/// gets gradients of zero rather than none. All but C and c ~ U(-1/sqrt(d_i), 1/sqrt(d_i)), these ~
/// U(-1/sqrt(H), 1/sqrt(H)). Where the model is tied, W_i and P_i are E_i and P_i of `input`.
std::unique_ptr<OutputHead> make_adaptive_softmax(const ModelConfig& config, ParameterStore& store,
                                                  const InputEmbedding& input);

}  // namespace adaspan
