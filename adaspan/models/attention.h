// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include <adaspan/models/memory_cache.h>
#include <adaspan/models/span.h>
#include <adaspan/ops/dropout.h>

namespace adaspan {

/// Multi-head attention over a learned span, with memory c (q = Wq x, k = Wk [c;x], v = Wv [c;x],
/// out = Wo [heads]; no biases).
class Attention {
 public:
  /// `prefix`: e.g. "layers.0.attn."
  Attention(const ModelConfig& config, ParameterStore& store, const std::string& prefix);

  /// x + attention(x)
  ///   x [M,B,H], memory [C,B,H], positions [D,S], spans z as Span::spans gives -> [M,B,H]
  Variable forward(Tape& tape, const Variable& x, const LayerMemory& memory,
                   const Variable& positions, const Variable& z, const Dropout& dropout) const;

  const Span& span() const { return *span_; }
  Span& span() { return *span_; }

 private:
  const ModelConfig& config_;
  std::unique_ptr<Span> span_;
  Parameter& query_;
  Parameter& out_;
  Parameter& value_;
  Parameter& key_;
};

}  // namespace adaspan
