// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/models/model_config.h>

namespace adaspan {

/// "cut-offs 20000, 40000, 200000; widths 512, 128, 32, 8; tied"; empty where there are no
/// clusters.
std::string adaptive_io_text(const ModelConfig& config);

}  // namespace adaspan
