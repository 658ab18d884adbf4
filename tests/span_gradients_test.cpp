// SPDX-License-Identifier: MIT
// The gradient of the loss by each head's z, as a block's backward pass tells it.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "adaspan/core/random.h"
#include "adaspan/models/transformer.h"
#include "adaspan/ops/elementwise.h"

namespace adaspan {
namespace {

constexpr int64_t B = 3, M = 20, V = 11, S = 24;
constexpr double kZ[2][2] = {{3.4, 9.6}, {0.7, 14.3}};  // off the mask's kinks, whole numbers

ModelConfig config_of(SpanKind kind, int64_t persistent) {
  return {.vocabulary = V,
          .layers = 2,
          .hidden = 16,
          .inner = 32,
          .heads = 2,
          .persistent = persistent,
          .span_limit = S,
          .ramp = 5,
          .span_kind = kind,
          .span_loss = 0.03f};
}

/// Sets z of one head, in a model of dynamic spans for all tokens alike.
void set_z(Transformer& model, size_t layer, size_t head, double z) {
  const double ratio = z / static_cast<double>(S);
  if (model.config().span_kind == SpanKind::adaptive) {
    model.span_ratios()[layer]->value().data()[head] = static_cast<float>(ratio);
    return;
  }
  const std::string bias = layer_name(static_cast<int64_t>(layer), "attn.attn.dynamic_span.bias");
  for (Parameter* p : model.parameters().all()) {
    if (p->name() != bias) continue;
    p->value().data()[head] = static_cast<float>(std::log(ratio / (1 - ratio)));
  }
}

Tensor random_ids(uint64_t seed) {
  Tensor ids({M, B}, DType::i32);
  for (int64_t i = 0; i < ids.elements(); ++i) {
    ids.data<int32_t>()[i] = static_cast<int32_t>(random_bits({.seed = seed}, i) % V);
  }
  return ids;
}

/// The mean negative log-likelihood, its sum in double.
double nll_of(const Transformer& model, const Tensor& ids, const Tensor& targets) {
  const Tensor losses = model.token_losses(ids, targets, model.fresh_memory(B)).losses;
  double sum = 0;
  for (float loss : losses.values()) sum += loss;
  return sum / static_cast<double>(M * B);
}

TEST_CASE("each head's gradient is the slope of the loss in its z, without the price") {
  const Tensor ids = random_ids(3), targets = random_ids(4);
  for (SpanKind kind : {SpanKind::adaptive, SpanKind::dynamic}) {
    for (int64_t P : {0, 6}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(P);
      Transformer model(config_of(kind, P), 1);
      for (size_t l : {0, 1}) {
        for (size_t h : {0, 1}) set_z(model, l, h, kZ[l][h]);
      }
      Tape tape;
      const BlockLoss out = model.loss(tape, ids, targets, model.fresh_memory(B));
      constexpr float kShare = 0.5f;
      tape.backward(scale(tape, out.total, kShare));
      REQUIRE(out.span_gradients->size() == 2);
      double off = 0, length = 0;
      for (size_t l : {0, 1}) {
        for (size_t h : {0, 1}) {
          constexpr double kStep = 0.05;  // less than the way to most kinks of relu
          set_z(model, l, h, kZ[l][h] + kStep);
          const double above = nll_of(model, ids, targets);
          set_z(model, l, h, kZ[l][h] - kStep);
          const double below = nll_of(model, ids, targets);
          set_z(model, l, h, kZ[l][h]);
          const double slope = kShare * (above - below) / (2 * kStep);
          const double found = (*out.span_gradients)[l][h];
          off += (found - slope) * (found - slope);
          length += slope * slope;
        }
      }
      CHECK(std::sqrt(length) > 1e-4);  // so that rounding, about 1e-7, does not decide
      CHECK(std::sqrt(off / length) < 5e-3);
    }
  }
}

TEST_CASE("the gradient of a ratio is S times those of loss and price together") {
  const Tensor ids = random_ids(3), targets = random_ids(4);
  Transformer model(config_of(SpanKind::adaptive, 0), 1);
  Tape tape;
  const BlockLoss out = model.loss(tape, ids, targets, model.fresh_memory(B));
  tape.backward(out.total);
  for (size_t l : {0, 1}) {
    for (size_t h : {0, 1}) {
      const double both = (*out.span_gradients)[l][h] + 0.03 / 2;
      CHECK(model.span_ratios()[l]->grad().data()[h] == doctest::Approx(S * both).epsilon(1e-5));
    }
  }
}

TEST_CASE("fixed spans have no gradients") {
  const Tensor ids = random_ids(3), targets = random_ids(4);
  Transformer model(config_of(SpanKind::fixed, 0), 1);
  Tape tape;
  const BlockLoss out = model.loss(tape, ids, targets, model.fresh_memory(B));
  tape.backward(out.total);
  CHECK(out.span_gradients->empty());
}

TEST_CASE("a dynamic head's gradient is the sum over its tokens") {
  const Tensor dz = Tensor::of({1, 3, 2}, std::vector<float>{1, 10, 2, 20, 4, 40});
  CHECK(gradient_by_head(dz) == std::vector<double>{7, 70});
}

}  // namespace
}  // namespace adaspan
