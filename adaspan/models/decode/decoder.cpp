// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/decoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/phases.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/decode/decoder_weights.h"
#include "adaspan/models/decode/query_attention.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "adaspan/ops/layer_norm.h"
#include "adaspan/ops/memory_projection.h"
#include "adaspan/ops/span_mask.h"

namespace adaspan {

/// Without the type in which weights are stored.
class Decoder::Work {
 public:
  virtual ~Work() = default;
  virtual const Tensor& read(std::span<const int32_t> tokens) = 0;
  virtual const Tensor& step(std::span<const int32_t> tokens) = 0;
  virtual DecoderTraffic traffic() const = 0;
  int64_t position() const { return t_; }

 protected:
  int64_t t_ = 0;
};

namespace {

constexpr double kMostBytesOfItem = 64 * 1024;  // of weights: some microseconds
constexpr double kLeastItems = 16;              // of a phase, to be shared among threads
constexpr int64_t kRowsTogether = 8;

/// Rows of some matrices, all times the same vectors: one phase.
template <class T>
struct Product {
  const StoredLinear<T>* linear;
  float* y;  ///< [N, y_stride]
  int64_t y_stride;
  float scale = 1;  ///< of y
};

enum class Finish { none, relu, add_residual };

template <class T>
class DecoderWork : public Decoder::Work {
 public:
  DecoderWork(const Transformer& model, int64_t N);

  const Tensor& read(std::span<const int32_t> tokens) override;
  const Tensor& step(std::span<const int32_t> tokens) override;
  DecoderTraffic traffic() const override;

 private:
  /// A layer's keys, values and spans.
  struct LayerState {
    std::vector<float> z;        // of each head; none where spans are fixed or dynamic
    std::vector<int64_t> reach;  // of each head
    std::vector<std::vector<KeyRing<T>>> rings;  // of each text, of each head
    std::vector<PersistentKeys<T>> persistent;   // of each head
    struct Part {
      int64_t head, part;
      bool persistent;
    };
    std::vector<Part> parts;    // one head after another
    std::vector<size_t> first;  // of each head's among them, and the end
  };

  void make_states();
  void make_phases();
  void add_products(const char* kernel, std::vector<Product<T>> products, const float* x,
                    int64_t x_stride, Finish finish = Finish::none,
                    const float* residual = nullptr);
  void add_attention(size_t layer);
  void add_norm(const StoredNorm& norm, const Tensor& from, Tensor& to);
  void attend(const LayerState& layer, int64_t item);
  void gather(LayerState& layer, int64_t n, int64_t head);
  void embed(std::span<const int32_t> tokens);
  void fill_rings(const Memory& memory);
  void check_ids(std::span<const int32_t> tokens) const;
  float z_of(const LayerState& layer, int64_t n, int64_t head) const;
  double bytes_of_state(const LayerState& layer) const;

  const Transformer& model_;
  const ModelConfig& c_;
  const int64_t N_, H_, D_;
  std::vector<LayerWeights<T>> weights_;
  StoredLinear<T> head_;  // none with an adaptive output, which the model itself computes
  const Tensor* table_ = nullptr;
  std::vector<LayerState> states_;
  PositionTiles<T> positions_;
  Phases phases_;
  size_t most_parts_ = 0;
  // Of each text, used by one layer after another.
  Tensor x_, qkv_, logit_, heads_, sum_, attended_, inner_, log_p_;
  std::vector<PartOfAttention> parts_;
  Tensor sums_;  // [N, parts, D]
  std::span<const int32_t> tokens_;
};

/// How far back each head may look.
std::vector<std::vector<int64_t>> reaches_of(const ModelConfig& c,
                                             const std::vector<std::vector<float>>& z) {
  std::vector<std::vector<int64_t>> all;
  for (const auto& layer : z) {
    auto& reaches = all.emplace_back();
    for (float span : layer) {
      const bool adaptive = c.span_kind == SpanKind::adaptive;
      reaches.push_back(adaptive ? span_reach(span, c.ramp, c.span_limit) : c.span_limit);
    }
  }
  return all;
}

Tensor positions_of(const Transformer& model) {
  const Tensor& table = ParametersByName(model).tensor("key_pe");  // [1,D,S]
  return table.clone().reshaped({table.shape()[1], table.shape()[2]});
}

template <class T>
DecoderWork<T>::DecoderWork(const Transformer& model, int64_t N)
    : model_(model),
      c_(model.config()),
      N_(N),
      H_(c_.hidden),
      D_(c_.head_width()),
      positions_(positions_of(model)),
      x_({N, H_}),
      qkv_({N, 3 * H_}),
      logit_({N, c_.heads}),
      heads_({N, H_}),
      sum_({N, H_}),
      attended_({N, H_}),
      inner_({N, c_.inner}),
      log_p_({N, c_.vocabulary}) {
  const ParametersByName parameters(model);
  for (int64_t l = 0; l < c_.layers; ++l) {
    weights_.push_back(layer_weights<T>(parameters, c_, l));
  }
  if (!c_.adaptive_io.on) {
    head_ = parameters.linear<T>("out_emb.weight", "out_emb.bias");
    table_ = &parameters.tensor("in_emb.weight");
  }
  make_states();
  make_phases();
}

template <class T>
void DecoderWork<T>::make_states() {
  const std::vector<std::vector<float>> z = model_.spans();
  const std::vector<std::vector<int64_t>> reaches = reaches_of(c_, z);
  for (size_t l = 0; l < weights_.size(); ++l) {
    LayerState& layer = states_.emplace_back();
    layer.z = z[l];
    layer.reach = reaches[l];
    for (int64_t h = 0; h < c_.heads; ++h) {
      layer.first.push_back(layer.parts.size());
      const int64_t parts = KeyRing<T>(layer.reach[static_cast<size_t>(h)], D_).parts();
      for (int64_t i = 0; i < parts; ++i) layer.parts.push_back({h, i, false});
      if (c_.persistent == 0) continue;
      layer.persistent.emplace_back(weights_[l].persistent_keys + h * D_ * c_.persistent,
                                    weights_[l].persistent_values + h * D_ * c_.persistent, D_,
                                    c_.persistent);
      for (int64_t i = 0; i < layer.persistent.back().parts(); ++i) {
        layer.parts.push_back({h, i, true});
      }
    }
    layer.first.push_back(layer.parts.size());
    most_parts_ = std::max(most_parts_, layer.parts.size());
    for (int64_t n = 0; n < N_; ++n) {
      auto& rings = layer.rings.emplace_back();
      for (int64_t reach : layer.reach) rings.emplace_back(reach, D_);
    }
  }
  parts_.resize(static_cast<size_t>(N_) * most_parts_);
  sums_ = Tensor({N_, static_cast<int64_t>(most_parts_), D_});
}

template <class T>
void DecoderWork<T>::make_phases() {
  for (size_t l = 0; l < weights_.size(); ++l) {
    const LayerWeights<T>& w = weights_[l];
    const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(D_)));
    std::vector<Product<T>> of_x = {{&w.query, qkv_.data(), 3 * H_, scale},
                                    {&w.key, qkv_.data() + H_, 3 * H_},
                                    {&w.value, qkv_.data() + 2 * H_, 3 * H_}};
    if (w.span.rows > 0) of_x.push_back({&w.span, logit_.data(), c_.heads});
    add_products("queries, keys and values", std::move(of_x), x_.data(), H_);
    add_attention(l);
    add_products("output of attention", {{&w.out, sum_.data(), H_}}, heads_.data(), H_,
                 Finish::add_residual, x_.data());
    if (w.inner.rows == 0) {
      add_norm(w.norm1, sum_, x_);
      continue;
    }
    add_norm(w.norm1, sum_, attended_);
    add_products("feed-forward", {{&w.inner, inner_.data(), c_.inner}}, attended_.data(), H_,
                 Finish::relu);
    add_products("feed-forward", {{&w.outer, sum_.data(), H_}}, inner_.data(), c_.inner,
                 Finish::add_residual, attended_.data());
    add_norm(w.norm2, sum_, x_);
  }
  if (head_.rows == 0) return;
  const int64_t V = c_.vocabulary;
  add_products("next token", {{&head_, log_p_.data(), V}}, x_.data(), H_);
  phases_.add("next token", 0, N_, [this, V](int64_t n) {
    float* const row = log_p_.data() + n * V;
    const float log_sum = row_kernels().log_sum_exp(row, V);
    for (int64_t v = 0; v < V; ++v) row[v] -= log_sum;
  });
}

template <class T>
void DecoderWork<T>::add_products(const char* kernel, std::vector<Product<T>> products,
                                  const float* x, int64_t x_stride, Finish finish,
                                  const float* residual) {
  double bytes = 0;
  for (const Product<T>& product : products) bytes += product.linear->bytes();
  const auto columns = static_cast<double>(products[0].linear->columns);
  const double of_item = std::min(kMostBytesOfItem, bytes / kLeastItems);
  const auto rows_of_item =
      kRowsTogether *
      std::max<int64_t>(1, static_cast<int64_t>(of_item / (columns * sizeof(T) * kRowsTogether)));
  std::vector<int64_t> first;  // item of each matrix
  int64_t items = 0;
  for (const Product<T>& product : products) {
    first.push_back(items);
    items += (product.linear->rows + rows_of_item - 1) / rows_of_item;
  }
  phases_.add(kernel, bytes, items,
              [=, this, products = std::move(products), first = std::move(first)](int64_t item) {
                size_t i = first.size() - 1;
                while (item < first[i]) --i;
                const auto& [linear, y, y_stride, scale] = products[i];
                const int64_t begin = (item - first[i]) * rows_of_item;
                const int64_t rows = std::min(rows_of_item, linear->rows - begin);
                decode_kernels<T>().products(y + begin, y_stride,
                                             linear->weight + begin * linear->columns, rows,
                                             linear->columns, x, x_stride, N_);
                for (int64_t n = 0; n < N_; ++n) {
                  float* const row = y + n * y_stride + begin;
                  if (scale != 1) {
                    for (int64_t r = 0; r < rows; ++r) row[r] *= scale;
                  }
                  if (linear->bias != nullptr) {
                    for (int64_t r = 0; r < rows; ++r) row[r] += linear->bias[begin + r];
                  }
                  if (finish == Finish::relu) {
                    for (int64_t r = 0; r < rows; ++r) row[r] = std::max(0.0f, row[r]);
                  } else if (finish == Finish::add_residual) {
                    const float* const more = residual + n * y_stride + begin;
                    for (int64_t r = 0; r < rows; ++r) row[r] += more[r];
                  }
                }
              });
}

template <class T>
void DecoderWork<T>::add_attention(size_t l) {
  LayerState& layer = states_[l];
  phases_.add("attention", static_cast<double>(N_) * bytes_of_state(layer),
              N_ * static_cast<int64_t>(layer.parts.size()),
              [this, &layer](int64_t item) { attend(layer, item); });
  phases_.add("attention", 0, N_ * c_.heads,
              [this, &layer](int64_t item) { gather(layer, item / c_.heads, item % c_.heads); });
}

template <class T>
float DecoderWork<T>::z_of(const LayerState& layer, int64_t n, int64_t head) const {
  if (c_.span_kind != SpanKind::dynamic) return layer.z[static_cast<size_t>(head)];
  const float logit = logit_.data()[n * c_.heads + head];
  return static_cast<float>(c_.span_limit) / (1 + std::exp(-logit));
}

template <class T>
void DecoderWork<T>::attend(const LayerState& layer, int64_t item) {
  const auto count = static_cast<int64_t>(layer.parts.size());
  const int64_t n = item / count, i = item % count;
  const auto& [head, part, persistent] = layer.parts[static_cast<size_t>(i)];
  const auto k = static_cast<size_t>(head);
  const int64_t at = n * static_cast<int64_t>(most_parts_) + i;
  const float* const q = qkv_.data() + n * 3 * H_ + head * D_;
  float* const o = sums_.data() + at * D_;
  PartOfAttention& result = parts_[static_cast<size_t>(at)];
  if (persistent) {
    result = layer.persistent[k].attend(part, o, q);
    return;
  }
  const float z = z_of(layer, n, head);
  int64_t visible =
      c_.span_kind == SpanKind::dynamic ? span_reach(z, c_.ramp, c_.span_limit) : layer.reach[k];
  if (c_.skip_missing) visible = std::min(visible, t_);
  const int64_t ramp = c_.span_kind == SpanKind::fixed ? 0 : c_.ramp;
  result =
      layer.rings[static_cast<size_t>(n)][k].attend(part, o, q, t_, visible, z, ramp, positions_);
}

template <class T>
void DecoderWork<T>::gather(LayerState& layer, int64_t n, int64_t head) {
  const auto k = static_cast<size_t>(head);
  const auto first = static_cast<int64_t>(layer.first[k]);
  const int64_t at = n * static_cast<int64_t>(most_parts_) + first;
  put_together(heads_.data() + n * H_ + head * D_, &parts_[static_cast<size_t>(at)],
               sums_.data() + at * D_, static_cast<int64_t>(layer.first[k + 1]) - first, D_);
  const float* const row = qkv_.data() + n * 3 * H_ + head * D_;
  layer.rings[static_cast<size_t>(n)][k].add(t_, row + H_, row + 2 * H_);
}

template <class T>
void DecoderWork<T>::add_norm(const StoredNorm& norm, const Tensor& from, Tensor& to) {
  phases_.add("layer norm", 0, N_, [this, &norm, &from, &to](int64_t n) {
    float mean = 0, rstd = 0;
    row_kernels().layer_norm(to.data() + n * H_, &mean, &rstd, from.data() + n * H_, norm.gain,
                             norm.bias, kLayerNormEpsilon, H_);
  });
}

template <class T>
void DecoderWork<T>::embed(std::span<const int32_t> tokens) {
  for (int64_t n = 0; n < N_; ++n) {
    const int32_t id = tokens[static_cast<size_t>(n)];
    if (table_ != nullptr) {
      std::copy_n(table_->data() + id * H_, H_, x_.data() + n * H_);
      continue;
    }
    // One text at a time: what a product of several rows sums up depends on their number.
    Tape no_tape(Tape::Mode::evaluation);
    const Variable e = model_.embedding().forward(no_tape, Tensor::of({1, 1}, {&id, 1}));
    const Tensor f32 = e.value().converted(DType::f32);
    std::copy_n(f32.data(), H_, x_.data() + n * H_);
  }
}

template <class T>
void DecoderWork<T>::check_ids(std::span<const int32_t> tokens) const {
  for (int32_t id : tokens) {
    require(id >= 0 && id < c_.vocabulary, "[decode] expected ids in [0, {}); got {}",
            c_.vocabulary, id);
  }
}

template <class T>
const Tensor& DecoderWork<T>::step(std::span<const int32_t> tokens) {
  require(tokens.size() == static_cast<size_t>(N_),
          "[decode] expected a token for each of {} texts; got {}", N_, tokens.size());
  check_ids(tokens);
  const FlushDenormals flush;
  embed(tokens);
  phases_.run();
  ++t_;
  if (head_.rows > 0) return log_p_;
  for (int64_t n = 0; n < N_; ++n) {
    Tensor h({1, 1, H_});
    std::copy_n(x_.data() + n * H_, H_, h.data());
    const Tensor row =
        model_.head().log_probabilities(Variable::constant(h.converted(c_.precision)));
    std::copy_n(row.data(), c_.vocabulary, log_p_.data() + n * c_.vocabulary);
  }
  return log_p_;
}

template <class T>
const Tensor& DecoderWork<T>::read(std::span<const int32_t> tokens) {
  require(!tokens.empty() && t_ == 0,
          "[decode] expected a token at least to begin a text with, once; got {} tokens at {}",
          tokens.size(), t_);
  check_ids(tokens);
  const FlushDenormals flush;
  Memory memory = model_.fresh_memory(1);
  const auto before = static_cast<int64_t>(tokens.size()) - 1;
  for (int64_t at = 0; at < before; at += Decoder::kBlock) {
    const int64_t M = std::min(Decoder::kBlock, before - at);
    memory = model_.remember(
        Tensor::of({M, 1}, tokens.subspan(static_cast<size_t>(at), static_cast<size_t>(M))),
        memory);
  }
  t_ = before;
  if (before > 0) fill_rings(memory);
  return step(std::vector<int32_t>(static_cast<size_t>(N_), tokens.back()));
}

template <class T>
void DecoderWork<T>::fill_rings(const Memory& memory) {
  const ParametersByName parameters(model_);
  for (size_t l = 0; l < states_.size(); ++l) {
    LayerState& layer = states_[l];
    const auto constant = [&](const char* name) {
      return Variable::constant(
          parameters.tensor(layer_name(static_cast<int64_t>(l), name)).clone());
    };
    const int64_t C = memory[l].steps();
    std::vector<int64_t> steps;
    for (int64_t reach : layer.reach) steps.push_back(std::min(reach, C));
    Tape no_tape(Tape::Mode::evaluation);
    const Tensor kv =
        memory_projection(no_tape, memory[l].segments(), constant("attn.proj_key.weight"),
                          constant("attn.proj_val.weight"), steps)
            .value()
            .converted(DType::f32);
    const float* row = kv.data();
    for (size_t h = 0; h < steps.size(); ++h) {
      for (int64_t t = t_ - steps[h]; t < t_; ++t, row += 2 * D_) {
        for (auto& rings : layer.rings) rings[h].add(t, row, row + D_);
      }
    }
  }
}

/// Of the keys and values that its heads reach, of one text.
template <class T>
double DecoderWork<T>::bytes_of_state(const LayerState& layer) const {
  double steps = 0;
  for (int64_t reach : layer.reach) steps += static_cast<double>(reach);
  return steps * static_cast<double>(2 * D_) * sizeof(T);
}

template <class T>
DecoderTraffic DecoderWork<T>::traffic() const {
  DecoderTraffic all;
  int64_t widest = 0;
  for (size_t l = 0; l < weights_.size(); ++l) {
    const LayerWeights<T>& w = weights_[l];
    for (const auto* linear : {&w.query, &w.key, &w.value, &w.out, &w.span, &w.inner, &w.outer}) {
      all.weights += linear->bytes();
    }
    all.weights += static_cast<double>((c_.persistent > 0 ? 2 : 4) * H_) * sizeof(float) +
                   static_cast<double>(2 * H_ * c_.persistent) * sizeof(T);
    all.keys_and_values += bytes_of_state(states_[l]);
    widest = std::max(widest, std::ranges::max(states_[l].reach));
  }
  all.weights += head_.bytes();
  all.positions = static_cast<double>(widest * D_) * sizeof(T);
  return all;
}

}  // namespace

double decoder_memory(const ModelConfig& c, const DecoderOptions& options,
                      const std::vector<std::vector<float>>& z) {
  const auto N = static_cast<double>(options.texts);
  const auto D = static_cast<double>(c.head_width());
  const double copies = options.storage == DType::bf16 ? parameter_count(c) : 0;
  double parts = 0;  // of one layer
  double kept = D * static_cast<double>(c.span_limit);
  for (const auto& layer : reaches_of(c, z)) {
    double of_layer = 0;
    for (int64_t reach : layer) {
      kept += 2 * D * static_cast<double>(c.persistent) +
              N * 2 * D * static_cast<double>((reach + kTile - 1) / kTile * kTile);
      of_layer += static_cast<double>((reach + c.persistent) / kKeysOfPart + 2);
    }
    parts = std::max(parts, of_layer);
  }
  const auto vectors = static_cast<double>(8 * c.hidden + c.inner + c.vocabulary);
  return static_cast<double>(size_of(options.storage)) * (copies + kept) +
         sizeof(float) * N * (vectors + parts * D);
}

Decoder::Decoder(const Transformer& model, const DecoderOptions& options) {
  require(options.texts >= 1, "[decode] expected at least 1 text; got {}", options.texts);
  require(options.storage != DType::i32, "[decode] expected storage in f32 or bf16; got {}",
          name(options.storage));
  if (options.storage == DType::bf16) {
    work_ = std::make_unique<DecoderWork<bf16>>(model, options.texts);
  } else {
    work_ = std::make_unique<DecoderWork<float>>(model, options.texts);
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const Tensor& Decoder::read(std::span<const int32_t> tokens) {
  return work_->read(tokens);
}

const Tensor& Decoder::step(std::span<const int32_t> tokens) {
  return work_->step(tokens);
}

int64_t Decoder::position() const {
  return work_->position();
}

DecoderTraffic Decoder::traffic() const {
  return work_->traffic();
}

}  // namespace adaspan
