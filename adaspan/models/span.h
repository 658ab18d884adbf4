// SPDX-License-Identifier: MIT
// How far each head of a layer looks back, and who decides: nobody (fixed), a learned number of the
// head (adaptive, paper section 2.1), or the head and the token (dynamic, paper section 2.2). The
// mask that turns a span z into weights is adaspan/ops/span_mask.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <adaspan/autograd/tape.h>
#include <adaspan/models/model_config.h>
#include <adaspan/models/parameter_store.h>

namespace adaspan {

class Span {
 public:
  virtual ~Span() = default;

  /// The spans z of this layer, in steps, from its input x [M,B,H]:
  /// absent (fixed: all S), [K] (adaptive), or [M,B,K] (dynamic).
  virtual Variable spans(Tape& tape, const Variable& x) const = 0;

  /// Puts the parameters back into their range; called after every update.
  virtual void clamp() {}
};

/// Whether a parameter holds the spans of an adaptive layer: [K,1,1], shares z / S in [0,1].
bool is_span(const Parameter& parameter);

/// `prefix` is the layer's part of the parameter names, e.g. "layers.0.attn.attn.".
std::unique_ptr<Span> make_span(const ModelConfig& config, ParameterStore& store,
                                const std::string& prefix);

/// E_h: the effective span of each head, from its largest z; S for all if z is absent.
std::vector<int64_t> effective_spans(const Variable& z, const ModelConfig& config);

/// How many of C steps of memory each head looks back into: a query t steps into the block, of
/// effective span E, sees E - t of them.
std::vector<int64_t> memory_reaches(const Variable& z, const ModelConfig& config, int64_t C);

/// Mean z of each head, in steps; S for all if z is absent.
std::vector<float> mean_spans(const Variable& z, const ModelConfig& config);

/// Steps of memory that a layer keeps for its next block: S, or for adaptive spans with cache
/// adaptation (as the reference does) min(S, W + 64), W = S - 64 floor(min(S-1, S - E) / 64), E =
/// ceil(max z) + R.
int64_t memory_length(const Variable& z, const ModelConfig& config);

}  // namespace adaspan
