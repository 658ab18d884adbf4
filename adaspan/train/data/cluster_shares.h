// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include <adaspan/models/model_config.h>
#include <adaspan/train/data/token_file.h>

namespace adaspan {

/// For each cluster of an adaptive vocabulary (adaspan/models/clusters.h) its share of the tokens
/// of a text; empty where the vocabulary is not adaptive. Throws Error as reading does.
std::vector<double> cluster_shares(const ModelConfig& config, const TokenFile& text);

}  // namespace adaspan
