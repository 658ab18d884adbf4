// SPDX-License-Identifier: MIT
#include "app/spans_over_text.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "adaspan/models/decode/decoder_weights.h"
#include "app/head_weights.h"

using namespace adaspan;

namespace {

constexpr int64_t V = 11, S = 24, H = 16, K = 2, L = 3, D = H / K;

struct Kind {
  SpanKind span;
  bool skip_missing = false;
  bool adapt_cache = false;
  int64_t persistent = 6;
};

/// All-attention: a layer is norm1(h + Wo heads), which is easily said once more.
ModelConfig config_of(const Kind& kind) {
  return {.vocabulary = V,
          .layers = L,
          .hidden = H,
          .inner = 32,
          .heads = K,
          .persistent = kind.persistent,
          .span_limit = kind.adapt_cache ? 200 : S,
          .ramp = 5,
          .span_kind = kind.span,
          .span_init = 0.3f,
          .adapt_cache = kind.adapt_cache,
          .skip_missing = kind.skip_missing};
}

std::vector<Kind> all_kinds() {
  return {{SpanKind::fixed},    {SpanKind::fixed, /*skip_missing=*/true},
          {SpanKind::adaptive}, {SpanKind::adaptive, false, /*adapt_cache=*/true},
          {SpanKind::dynamic},  {SpanKind::dynamic, /*skip_missing=*/true}};
}

/// Spans that differ from head to head, and from token to token where they are dynamic.
void spread_spans(Transformer& model) {
  uint64_t place = 0;
  const double widest = model.config().adapt_cache ? 0.3 : 0.7;  // so that little is remembered
  for (Parameter* p : model.parameters().all()) {
    const bool ratio = p->name().find("current_val") != std::string::npos;
    if (!ratio && p->name().find("dynamic_span") == std::string::npos) continue;
    for (int64_t i = 0; i < p->value().elements(); ++i) {
      const double u = random_uniform({.seed = 9, .purpose = Purpose::benchmark}, place++);
      p->value().data()[i] = static_cast<float>(ratio ? widest * u : u - 0.5);
    }
  }
}

std::vector<int32_t> text_of(int64_t tokens) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < tokens; ++i) {
    ids.push_back(static_cast<int32_t>(random_bits({.seed = 3}, static_cast<uint64_t>(i)) % V));
  }
  return ids;
}

void normalise(const StoredNorm& norm, std::vector<double>& x) {
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double variance = 0;
  for (const double v : x) variance += (v - mean) * (v - mean) / n;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * norm.gain[i] + norm.bias[i];
  }
}

/// The inputs of all layers for the whole text: [L][tokens H].
std::vector<std::vector<float>> inputs_of(const Transformer& model, std::span<const int32_t> ids,
                                          int64_t block) {
  std::vector<std::vector<float>> all(L);
  visit_layer_inputs(model, ids, block, [&](int64_t first, const auto& inputs) {
    CHECK(first * H == static_cast<int64_t>(all[0].size()));
    for (size_t l = 0; l < L; ++l) all[l].insert(all[l].end(), inputs[l].begin(), inputs[l].end());
  });
  return all;
}

/// W row . x
double row_product(const float* row, const float* x) {
  double sum = 0;
  for (int64_t j = 0; j < H; ++j) sum += static_cast<double>(row[j]) * x[j];
  return sum;
}

TEST_CASE("weights sum to 1, and with the values make what the next layer reads") {
  for (const Kind& kind : all_kinds()) {
    CAPTURE(static_cast<int>(kind.span));
    CAPTURE(kind.skip_missing);
    Transformer model(config_of(kind), 1);
    spread_spans(model);
    const ParametersByName parameters(model);
    const std::vector<int32_t> ids = text_of(61);
    const auto inputs = inputs_of(model, ids, 7);
    for (int64_t l = 0; l + 1 < L; ++l) {
      const LayerWeights<float> w = layer_weights<float>(parameters, model.config(), l);
      const std::vector<float>& h = inputs[static_cast<size_t>(l)];
      std::vector<std::vector<QueryWeights>> weights;
      for (int64_t head = 0; head < K; ++head) {
        HeadWeights reader(model, l, head);
        auto& all = weights.emplace_back();
        for (size_t t = 0; t < ids.size(); t += 9) {  // in blocks of their own
          const size_t count = std::min<size_t>(9, ids.size() - t);
          for (QueryWeights& one : reader.read(std::span(h).subspan(t * H, count * H))) {
            all.push_back(std::move(one));
          }
        }
      }
      for (int64_t t = 0; t < static_cast<int64_t>(ids.size()); ++t) {
        std::vector<double> heads;
        for (int64_t head = 0; head < K; ++head) {
          const QueryWeights& q = weights[static_cast<size_t>(head)][static_cast<size_t>(t)];
          const double sum = q.before_start + std::accumulate(q.steps.begin(), q.steps.end(), 0.0) +
                             std::accumulate(q.persistent.begin(), q.persistent.end(), 0.0);
          CHECK(sum == doctest::Approx(1).epsilon(1e-9));
          if (kind.skip_missing) CHECK(q.before_start == 0);
          CHECK(q.steps.size() <= static_cast<size_t>(std::min(t, model.config().span_limit)));
          for (int64_t i = head * D; i < (head + 1) * D; ++i) {
            double out = 0;
            for (size_t d = 0; d < q.steps.size(); ++d) {
              const float* x = h.data() + (t - 1 - static_cast<int64_t>(d)) * H;
              out += q.steps[d] * row_product(w.value.weight + i * H, x);
            }
            for (size_t j = 0; j < q.persistent.size(); ++j) {
              const auto P = static_cast<double>(q.persistent.size());
              const size_t place = (static_cast<size_t>(head) * q.persistent.size() + j) * D;
              out += q.persistent[j] * std::sqrt(P) *
                     w.persistent_values[place + static_cast<size_t>(i - head * D)];
            }
            heads.push_back(out);
          }
        }
        std::vector<double> next(h.begin() + t * H, h.begin() + (t + 1) * H);
        for (size_t i = 0; i < next.size(); ++i) {
          for (size_t j = 0; j < heads.size(); ++j) {
            next[i] += w.out.weight[i * H + j] * heads[j];
          }
        }
        normalise(w.norm1, next);
        for (size_t i = 0; i < next.size(); ++i) {
          const double of_model =
              inputs[static_cast<size_t>(l + 1)][static_cast<size_t>(t) * H + i];
          CHECK(std::abs(next[i] - of_model) < 1e-5);
        }
      }
    }
  }
}

TEST_CASE("what a block's length is changes nothing that is seen") {
  for (const Kind& kind : all_kinds()) {
    Transformer model(config_of(kind), 1);
    spread_spans(model);
    const std::vector<int32_t> ids = text_of(160);
    const auto one = inputs_of(model, ids, 1), many = inputs_of(model, ids, 1000);
    for (size_t l = 0; l < L; ++l) {
      REQUIRE(one[l].size() == many[l].size());
      for (size_t i = 0; i < one[l].size(); ++i) {
        CHECK(one[l][i] == doctest::Approx(many[l][i]).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("z of every token is the model's own") {
  for (const Kind& kind : all_kinds()) {
    Transformer model(config_of(kind), 1);
    spread_spans(model);
    const std::vector<int32_t> ids = text_of(50);
    const SpansOverText spans = spans_over_text(model, ids, 8);
    Memory memory = model.fresh_memory(1);
    double sum = 0;
    for (int64_t t = 0; t < 50; ++t) {
      const Tensor id = Tensor::of({1, 1}, std::span(ids).subspan(static_cast<size_t>(t), 1));
      BlockTokenLosses out =
          model.token_losses(id, id, memory);  // of one token the mean is its own
      memory = std::move(out.memory);
      double of_token = 0;
      for (int64_t l = 0; l < L; ++l) {
        double of_layer = 0;
        for (int64_t h = 0; h < K; ++h) {
          const float z = out.mean_z[static_cast<size_t>(l)][static_cast<size_t>(h)];
          CHECK(spans.at(t, l, h) == doctest::Approx(z).epsilon(1e-5));
          of_layer += z / K;
        }
        CHECK(spans.mean_of_layer(t, l) == doctest::Approx(of_layer).epsilon(1e-5));
        of_token += of_layer / L;
      }
      CHECK(spans.mean_of_token(t) == doctest::Approx(of_token).epsilon(1e-5));
      sum += spans.at(t, 1, 1) / 50;
    }
    CHECK(spans.mean_of_heads()[1][1] == doctest::Approx(sum).epsilon(1e-5));
  }
}

TEST_CASE("over a text: the mean by distance, and what each token attends to") {
  for (const Kind& kind : all_kinds()) {
    Transformer model(config_of(kind), 1);
    spread_spans(model);
    const std::vector<int32_t> ids = text_of(40);
    const AttentionOverText all = attention_over_text(model, ids, 8, {.layer = 1, .head = 1});
    const auto inputs = inputs_of(model, ids, 8);
    HeadWeights reader(model, 1, 1);
    const std::vector<QueryWeights> weights = reader.read(inputs[1]);
    REQUIRE(all.strongest.size() == 40);
    double before = 0, third = 0, sum = all.before_start + all.persistent;
    for (size_t t = 0; t < weights.size(); ++t) {
      const QueryWeights& q = weights[t];
      before += q.before_start / 40;
      third += q.steps.size() > 2 ? q.steps[2] / 40 : 0;
      const auto& strongest = all.strongest[t];
      CHECK(strongest.size() <= AttentionOverText::kStrongest);
      if (t > 0) REQUIRE_FALSE(strongest.empty());
      for (size_t n = 0; n < strongest.size(); ++n) {
        const auto d = static_cast<size_t>(static_cast<int64_t>(t) - 1 - strongest[n].token);
        CHECK(strongest[n].weight == doctest::Approx(q.steps.at(d)).epsilon(1e-6));
        if (n > 0) CHECK(strongest[n].weight <= strongest[n - 1].weight);
      }
      if (t > 0) {
        CHECK(strongest[0].weight ==
              doctest::Approx(*std::max_element(q.steps.begin(), q.steps.end())).epsilon(1e-6));
      }
    }
    CHECK(all.before_start == doctest::Approx(before));
    CHECK(all.by_distance.at(2) == doctest::Approx(third));
    for (const double weight : all.by_distance) sum += weight;
    CHECK(sum == doctest::Approx(1));
    CHECK(all.recent.size() == 40);
  }
}

TEST_CASE("without persistent vectors and missing steps the first token sees nothing") {
  const Kind kind{.span = SpanKind::fixed, .skip_missing = true, .persistent = 0};
  const Transformer model(config_of(kind), 1);
  const AttentionOverText all = attention_over_text(model, text_of(4), 8, {.layer = 0, .head = 0});
  double sum = 0;
  for (const double weight : all.by_distance) sum += weight;
  CHECK(sum == doctest::Approx(0.75));
  CHECK(all.strongest[0].empty());
  CHECK(all.strongest[1].size() == 1);
  CHECK(all.strongest[1][0].weight == doctest::Approx(1));
}

TEST_CASE("keys that no query can see any more are forgotten, and nothing else") {
  Transformer model(config_of({SpanKind::adaptive}), 1);
  spread_spans(model);
  const auto inputs = inputs_of(model, text_of(400), 16);
  HeadWeights whole(model, 2, 0), parts(model, 2, 0);
  const auto expected = whole.read(inputs[2]);
  for (size_t t = 0; t < 400; t += 5) {
    const auto some = parts.read(std::span(inputs[2]).subspan(t * H, 5 * H));
    for (size_t i = 0; i < some.size(); ++i) CHECK(some[i].steps == expected[t + i].steps);
  }
}

TEST_CASE("the head that looks back furthest is taken, within what is asked for") {
  const SpansOverText spans{
      .kind = SpanKind::adaptive, .tokens = 5, .layers = 3, .heads = 2, .z = {1, 9, 2, 3, 9, 4}};
  const auto check = [&](const AskedHead& asked, int64_t layer, int64_t head) {
    const HeadChoice found = furthest_head(spans, asked);
    CHECK(found.layer == layer);
    CHECK(found.head == head);
  };
  check({}, 2, 0);
  check({.layer = 1, .head = {}}, 1, 1);
  check({.layer = {}, .head = 1}, 0, 1);
  check({.layer = 1, .head = 0}, 1, 0);
}

TEST_CASE("a layer or head that the model does not have is refused") {
  const Transformer model(config_of({SpanKind::fixed}), 1);
  const auto refused = [&](int64_t layer, int64_t head, const char* text) {
    CHECK_THROWS_WITH_AS(HeadWeights(model, layer, head), doctest::Contains(text), Error);
  };
  refused(3, 0, "expected --layer of the model's 3, 0 to 2; got 3");
  refused(-1, 0, "got -1");
  refused(0, 2, "expected --head of the layer's 2, 0 to 1; got 2");
  refused(0, -1, "got -1");
}

}  // namespace
