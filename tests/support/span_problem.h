// SPDX-License-Identifier: MIT
// A size of span attention: what its tests vary.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <adaspan/ops/span_attention.h>
#include <adaspan/ops/span_mask.h>

#include "tests/support/gradient_check.h"

namespace adaspan {

struct SpanProblem {
  enum Spans { fixed, adaptive, dynamic };

  Spans kind = adaptive;
  std::vector<float> z = {20.3f, 0};  ///< of each head; fixed: its E; dynamic: its largest span
  bool narrow_middle = false;         ///< dynamic spans of queries 64 to 127 are 0
  int64_t M = 100, B = 2, D = 32, S = 150, R = 32;
  int64_t C = 150;  ///< steps of memory
  bool skip_missing = false;
  Dropout dropout = {};
  int64_t P = 0;      ///< persistent vectors
  int64_t wider = 0;  ///< steps that are given to each head beyond its effective span

  int64_t K() const { return static_cast<int64_t>(z.size()); }

  /// z as the op takes it: [K], or [M,B,K] for dynamic spans
  Tensor spans() const {
    if (kind != dynamic) return Tensor::of({K()}, z);
    Tensor all = random_tensor({M, B, K()}, 7, 0, 1);
    for (int64_t i = 0; i < all.elements(); ++i) {
      float& span = all.data()[i];
      span *= z[static_cast<size_t>(i % K())];
      if (i % 5 == 0) span = std::floor(span);  // on the ends of the ramp
      const int64_t query = i / (B * K());
      if (narrow_middle && query >= 64 && query < 128) span = 0;
    }
    return all;
  }

  SpanAttentionOptions options() const {
    SpanAttentionOptions options;
    options.ramp = R;
    options.skip_missing = skip_missing;
    options.dropout = dropout;
    const Tensor all = spans();
    for (int64_t h = 0; h < K(); ++h) {
      float largest = 0;
      for (int64_t i = h; i < all.elements(); i += K()) {
        largest = std::max(largest, all.data()[i]);
      }
      const int64_t E =
          kind == fixed ? static_cast<int64_t>(largest) : effective_span(largest, R, S);
      options.effective_spans.push_back(std::min(S, E + wider));
      options.memory_steps.push_back(std::min(C, options.effective_spans.back()));
    }
    return options;
  }

  /// For the report of a failure.
  std::string text() const {
    static constexpr const char* kNames[] = {"fixed", "adaptive", "dynamic"};
    std::string text = fmt::format("{} spans", kNames[kind]);
    for (float span : z) text += fmt::format(" {}", span);
    return text + fmt::format(", M {} B {} D {} S {} R {} C {} P {}, skip_missing {}, dropout {}",
                              M, B, D, S, R, C, P, skip_missing, dropout.rate);
  }
};

}  // namespace adaspan
