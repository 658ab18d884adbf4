// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "adaspan/models/transformer.h"
#include "adaspan/ops/elementwise.h"
#include "adaspan/ops/linear.h"

using namespace adaspan;

namespace {

constexpr int64_t B = 3, V = 11;

ModelConfig small_model(SpanKind kind) {
  return {.vocabulary = V,
          .layers = 2,
          .hidden = 16,
          .inner = 32,
          .heads = 2,
          .span_limit = 24,
          .ramp = 5,
          .span_kind = kind,
          .span_init = 0.3f};
}

/// Spans that differ from head to head, and from token to token where they are dynamic.
void spread_spans(Transformer& model) {
  uint64_t place = 0;
  const auto spread = [&](Parameter& p, double low, double high) {
    for (int64_t i = 0; i < p.value().elements(); ++i) {
      const double u = random_uniform({.seed = 9, .purpose = Purpose::benchmark}, place++);
      p.value().data()[i] = static_cast<float>(low + (high - low) * u);
    }
  };
  for (Parameter* ratios : model.span_ratios()) spread(*ratios, 0, 0.8);
  for (Parameter* p : model.parameters().all()) {
    if (p->name().find("dynamic_span") != std::string::npos) spread(*p, -0.5, 0.5);
  }
}

Tensor random_ids(int64_t M) {
  Tensor ids({M, B}, DType::i32);
  for (int64_t i = 0; i < ids.elements(); ++i) {
    ids.data<int32_t>()[i] = static_cast<int32_t>(random_bits({.seed = 3}, i) % V);
  }
  return ids;
}

Tensor steps(const Tensor& ids, int64_t begin, int64_t count) {
  return Tensor::of({count, B}, ids.values<int32_t>().subspan(begin * B, count * B));
}

/// Log-probabilities of the whole stream, worked on in blocks of M.
std::vector<float> predictions(const Transformer& model, const Tensor& ids, int64_t M) {
  std::vector<float> all;
  Memory memory = model.fresh_memory(B);
  for (int64_t t = 0; t < ids.shape()[0]; t += M) {
    BlockPrediction out = model.predict(steps(ids, t, M), memory);
    memory = std::move(out.memory);
    const auto values = out.log_probabilities.values();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// Largest difference, as a share of the largest value; NaN counts as 1.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - b[i]);
    worst = std::max(worst, std::isnan(d) ? 1e30 : d);
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

constexpr double kRounding = 1e-5;  // of float sums of a few dozen terms, through two layers
constexpr SpanKind kKinds[] = {SpanKind::fixed, SpanKind::adaptive, SpanKind::dynamic};

/// Calls body(config) for each kind of span, without and with persistent vectors.
template <class Body>
void for_each_model(const Body& body) {
  for (SpanKind kind : kKinds) {
    for (int64_t P : {0, 6}) {
      INFO("kind ", static_cast<int>(kind), ", P ", P);
      ModelConfig config = small_model(kind);
      config.persistent = P;
      body(config);
    }
  }
}

}  // namespace

TEST_CASE("one long block gives what many short ones with memory give") {
  const Tensor ids = random_ids(48);
  for_each_model([&](const ModelConfig& config) {
    Transformer model(config, 1);
    spread_spans(model);
    const std::vector<float> whole = predictions(model, ids, 48);
    for (int64_t M : {1, 4, 16, 24}) {
      INFO("blocks of ", M);
      CHECK(difference(predictions(model, ids, M), whole) < kRounding);
    }
  });
}

TEST_CASE("a memory of the whole limit gives what one cut to the spans gives") {
  const Tensor ids = random_ids(320);
  ModelConfig config = small_model(SpanKind::adaptive);
  config.span_limit = 200;  // far above what the spans reach: the cut is real
  config.adapt_cache = true;
  Transformer cut(config, 1);
  config.adapt_cache = false;
  Transformer whole(config, 1);
  for (Transformer* model : {&cut, &whole}) {
    for (Parameter* ratios : model->span_ratios()) {
      ratios->value().data()[0] = 0.02f;
      ratios->value().data()[1] = 0.1f;
    }
  }
  CHECK(cut.predict(ids, cut.fresh_memory(B)).memory[1].shape()[0] == 72 + 64);
  CHECK(whole.predict(ids, whole.fresh_memory(B)).memory[1].shape()[0] == 200);
  CHECK(difference(predictions(cut, ids, 16), predictions(whole, ids, 16)) < kRounding);
}

TEST_CASE("a stream forgets exactly what lies beyond its memory") {
  // Two streams that differ only in their first step: with S = 24 and two layers, nothing of it is
  // left after 48 steps, and something is left before.
  const Tensor a = random_ids(72);
  Tensor b = a.clone();
  for (int64_t i = 0; i < B; ++i) b.data<int32_t>()[i] = (b.data<int32_t>()[i] + 1) % V;
  Transformer model(small_model(SpanKind::fixed), 1);
  const std::vector<float> x = predictions(model, a, 8), y = predictions(model, b, 8);
  const auto differs_at = [&](int64_t t) {
    for (int64_t i = t * B * V; i < (t + 1) * B * V; ++i) {
      if (x[i] != y[i]) return true;
    }
    return false;
  };
  CHECK(differs_at(0));
  CHECK(differs_at(1));
  CHECK(differs_at(24));
  CHECK(differs_at(48));
  CHECK_FALSE(differs_at(49));
  CHECK_FALSE(differs_at(71));
}

TEST_CASE("no token sees itself through attention, or anything after it") {
  const Tensor a = random_ids(16);
  Tensor b = a.clone();
  b.data<int32_t>()[10 * B] = (b.data<int32_t>()[10 * B] + 1) % V;
  Transformer model(small_model(SpanKind::adaptive), 1);
  const std::vector<float> x = predictions(model, a, 16), y = predictions(model, b, 16);
  for (int64_t i = 0; i < 10 * B * V; ++i) CHECK(x[i] == y[i]);
}

TEST_CASE("steps before the start of a stream take part unless they are left out") {
  const Tensor ids = random_ids(8);
  ModelConfig config = small_model(SpanKind::fixed);
  const Transformer with_zeros(config, 1);
  config.skip_missing = true;
  const Transformer without(config, 1);
  CHECK(difference(predictions(with_zeros, ids, 8), predictions(without, ids, 8)) > 1e-3);
  // Left out, the limit itself no longer matters while the stream is shorter than it.
  config.span_limit = 12;
  Transformer shorter(config, 1);
  for (Parameter* p : shorter.parameters().all()) {
    for (const Parameter* q : without.parameters().all()) {
      if (p->name() != q->name()) continue;
      if (p->name() != "key_pe") {
        std::copy_n(q->value().data(), p->value().elements(), p->value().data());
        continue;
      }
      for (int64_t d = 0; d < 8; ++d) {  // the last 12 columns of 24: the nearest distances
        std::copy_n(q->value().data() + d * 24 + 12, 12, p->value().data() + d * 12);
      }
    }
  }
  CHECK(difference(predictions(shorter, ids, 8), predictions(without, ids, 8)) < kRounding);
}

TEST_CASE("in bf16 a model computes what it computes in f32, to the roundings on the way") {
  if (!bf16_obstacle().empty()) return;
  const Tensor ids = random_ids(48);
  for_each_model([&](ModelConfig config) {
    Transformer f32(config, 1);
    config.precision = DType::bf16;
    Transformer half(config, 1);
    for (Transformer* model : {&f32, &half}) spread_spans(*model);
    for (int64_t M : {16, 48}) {
      const auto wide = predictions(f32, ids, M), narrow = predictions(half, ids, M);
      // About 2 layers x 8 roundings of 2^-8 are behind a number, independent of each other.
      CHECK(difference(narrow, wide) < 4 * 0x1p-8);
      CHECK(difference(narrow, wide) > 0x1p-12);
    }
    // What bounds of blocks change is order and place of roundings.
    CHECK(difference(predictions(half, ids, 4), predictions(half, ids, 48)) < 4 * 0x1p-8);

    const BlockPrediction out = half.predict(ids, half.fresh_memory(B));
    CHECK(out.log_probabilities.type() == DType::f32);
    CHECK(out.memory[1].type() == DType::bf16);
  });
}

TEST_CASE("persistent vectors take the place of the feed-forward layers") {
  ModelConfig config = small_model(SpanKind::dynamic);
  config.persistent = 6;
  const Transformer model(config, 1);
  std::set<std::string> names;
  for (const Parameter* p : model.parameters().all()) {
    if (p->name().starts_with("layers.1.")) names.insert(p->name().substr(9));
    const double D = 8, P = 6;
    const auto check_start = [&](const char* name, uint32_t site, const Shape& shape, double size) {
      if (p->name() != name) return;
      CHECK(p->shape() == shape);
      const RandomKey key{.seed = 1, .purpose = Purpose::initialisation, .site = site};
      CHECK(p->value().data()[3] == doctest::Approx(size * random_normal(key, 3)));
    };
    check_start("layers.1.attn.attn.persistent_memory.key", 0x0001a8, {2, 8, 6}, 1 / std::sqrt(D));
    check_start("layers.1.attn.attn.persistent_memory.val", 0x0001a9, {2, 6, 8}, 1 / std::sqrt(P));
  }
  CHECK(names == std::set<std::string>{
                     "attn.attn.dynamic_span.bias", "attn.attn.dynamic_span.weight",
                     "attn.attn.persistent_memory.key", "attn.attn.persistent_memory.val",
                     "attn.proj_key.weight", "attn.proj_out.weight", "attn.proj_query.weight",
                     "attn.proj_val.weight", "norm1.bias", "norm1.weight"});
}

TEST_CASE("bf16 is refused where it cannot run") {
  ModelConfig config = small_model(SpanKind::adaptive);
  config.precision = DType::bf16;
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(Transformer(config, 1),
                       "[model] expected model.precision f32, since the kernels of level plain "
                       "compute in f32; got bf16; use model.precision f32",
                       Error);
  set_isa(best_isa());
}

TEST_CASE("the memory shares the layers' inputs with the tape") {
  const Transformer model(small_model(SpanKind::fixed), 1);  // keeps 24 steps
  Tape tape;
  const BlockLoss out = model.loss(tape, random_ids(24), random_ids(24), model.fresh_memory(B));
  for (const LayerMemory& memory : out.memory) {
    REQUIRE(memory.segments().size() == 1);
    CHECK(memory.segments()[0].value.use_count() > 1);  // a copy would have one owner
  }
}

TEST_CASE("the feed-forward layer drops inner activations and adds what it is given to add") {
  const ModelConfig config = small_model(SpanKind::fixed);
  ParameterStore store(1);
  const FeedForward layer(config, store, 0);
  const auto weight = [&](size_t i) { return store.all()[i]->variable(); };
  Tensor values({5, B, 16});
  for (int64_t i = 0; i < values.elements(); ++i) {
    values.data()[i] = static_cast<float>(random_uniform({.seed = 2}, i) - 0.5);
  }
  const Variable x = Variable::constant(std::move(values));
  const Variable residual = Variable::constant(Tensor::filled(x.shape(), 0.25f));
  for (float rate : {0.0f, 0.4f}) {
    const Dropout mask{.rate = rate, .key = {.purpose = Purpose::dropout}, .batch = B};
    Tape tape(Tape::Mode::evaluation);
    const Variable inner = linear(tape, x, weight(0), weight(1), {.activation = Activation::relu});
    const Variable expected =
        add(tape, residual, linear(tape, dropout(tape, inner, mask), weight(2), weight(3)));
    const Variable found = layer.forward(tape, x, mask, residual);
    for (int64_t i = 0; i < x.value().elements(); ++i) {
      CHECK(found.value().data()[i] == doctest::Approx(expected.value().data()[i]).epsilon(1e-5));
    }
  }
}

TEST_CASE("attention adds what it is given to add") {
  const ModelConfig config = small_model(SpanKind::fixed);
  ParameterStore store(1);
  const auto positions = make_positions(config, store);
  const auto span = make_span(config, store, 0);
  const auto attention = make_attention(config, store, 0);
  const Variable x = Variable::constant(Tensor::filled({4, B, 16}, 0.5f));
  const LayerMemory nothing(B, 16);
  Tape tape(Tape::Mode::evaluation);
  const BlockPositions at = positions->of_block(tape);
  const LayerSpans spans = span->of(tape, x, 0);
  const auto with = [&](float r) {
    const Variable residual = Variable::constant(Tensor::filled({4, B, 16}, r));
    return attention->forward(
        tape, {.x = x, .memory = nothing, .spans = spans, .positions = at, .dropout = {}},
        residual);
  };
  const Variable none = with(0), some = with(2);
  CHECK(none.value().data()[3 * B * 16] != 0);  // of time 3
  for (int64_t i = 0; i < x.value().elements(); ++i) {
    CHECK(some.value().data()[i] == doctest::Approx(none.value().data()[i] + 2));
  }
}

TEST_CASE("the loss is the mean of -log p of the targets, plus the span loss") {
  const Tensor ids = random_ids(9), inputs = steps(ids, 0, 8), targets = steps(ids, 1, 8);
  for (SpanKind kind : kKinds) {
    CAPTURE(static_cast<int>(kind));
    ModelConfig config = small_model(kind);
    config.span_loss = 0.5f;
    Transformer model(config, 1);
    spread_spans(model);
    Tape tape;
    const BlockLoss out = model.loss(tape, inputs, targets, model.fresh_memory(B));
    const Tensor log_p = model.predict(inputs, model.fresh_memory(B)).log_probabilities;
    REQUIRE(log_p.shape() == Shape{8, B, V});
    double nll = 0, price = 0;
    for (int64_t row = 0; row < 8 * B; ++row) {
      double sum = 0;
      for (int64_t v = 0; v < V; ++v) sum += std::exp(log_p.data()[row * V + v]);
      CHECK(sum == doctest::Approx(1));
      nll -= log_p.data()[row * V + targets.data<int32_t>()[row]] / static_cast<double>(8 * B);
    }
    for (const auto& layer : out.mean_z) price += (layer[0] + layer[1]) / 2;
    const double span_loss = kind == SpanKind::fixed ? 0 : 0.5 * price;
    CHECK(out.nll == doctest::Approx(nll));
    CHECK(out.span_loss == doctest::Approx(span_loss));
    CHECK(out.total.value().item() == doctest::Approx(nll + span_loss));
  }
}

TEST_CASE("the span loss is lambda times the sum over layers of the mean span") {
  ModelConfig config = small_model(SpanKind::adaptive);
  config.span_loss = 0.5f;
  const Transformer model(config, 1);
  Tape tape;
  const BlockLoss out = model.loss(tape, random_ids(4), random_ids(4), model.fresh_memory(B));
  CHECK(out.span_loss == doctest::Approx(0.5 * 2 * 0.3 * 24));
  CHECK(out.mean_z == std::vector<std::vector<float>>(2, std::vector<float>(2, 0.3f * 24)));
}

TEST_CASE("activations are dropped in training alone, others at each step and at each place") {
  ModelConfig config = small_model(SpanKind::fixed);
  const Tensor ids = random_ids(8);
  const auto loss_at = [&](const Transformer& model, std::optional<TrainingStep> training) {
    Tape tape;
    return model.loss(tape, ids, ids, model.fresh_memory(B), training).nll;
  };
  const float plain = loss_at(Transformer(config, 1), {});
  for (const bool embeddings : {false, true}) {
    CAPTURE(embeddings);
    config.dropout = embeddings ? 0 : 0.4f;
    config.embedding_dropout = embeddings ? 0.4f : 0;
    const Transformer model(config, 1);
    CHECK(loss_at(model, {}) == plain);
    const float first = loss_at(model, TrainingStep{.seed = 1, .step = 1, .batch = B});
    CHECK(first != plain);
    CHECK(loss_at(model, TrainingStep{.seed = 1, .step = 1, .batch = B}) == first);
    CHECK(loss_at(model, TrainingStep{.seed = 1, .step = 2, .batch = B}) != first);
    CHECK(loss_at(model, TrainingStep{.seed = 2, .step = 1, .batch = B}) != first);
  }
}

TEST_CASE("a model tells the ratios of its spans where they are learned") {
  Transformer adaptive(small_model(SpanKind::adaptive), 1);
  const std::vector<Parameter*> ratios = adaptive.span_ratios();
  REQUIRE(ratios.size() == 2);
  CHECK(ratios[1]->name() == "layers.1.attn.attn.adaptive_span._mask.current_val");
  const Transformer& same = adaptive;
  CHECK(same.span_ratios() == std::vector<const Parameter*>(ratios.begin(), ratios.end()));
  CHECK(Transformer(small_model(SpanKind::fixed), 1).span_ratios().empty());
  CHECK(Transformer(small_model(SpanKind::dynamic), 1).span_ratios().empty());
}

TEST_CASE("a seed names the starting weights") {
  const ModelConfig config = small_model(SpanKind::adaptive);
  const Transformer a(config, 1), same(config, 1), other(config, 2);
  const auto values = [](const Transformer& model, size_t i) {
    const auto v = model.parameters().all()[i]->value().values();
    return std::vector<float>(v.begin(), v.end());
  };
  CHECK(values(a, 0) == values(same, 0));
  CHECK(values(a, 0) != values(other, 0));
}

TEST_CASE("each parameter starts with the numbers of its layer and role, which never change") {
  const std::pair<const char*, uint32_t> sites[] = {{"key_pe", 0xffff08},
                                                    {"in_emb.weight", 0xffff10},
                                                    {"out_emb.weight", 0xffff30},
                                                    {"out_emb.bias", 0xffff50},
                                                    {"layers.0.attn.proj_query.weight", 0x0000a0},
                                                    {"layers.1.attn.proj_query.weight", 0x0001a0},
                                                    {"layers.1.attn.proj_key.weight", 0x0001a1},
                                                    {"layers.1.attn.proj_val.weight", 0x0001a2},
                                                    {"layers.1.attn.proj_out.weight", 0x0001a3},
                                                    {"layers.1.ff.fc1.weight", 0x0001c0},
                                                    {"layers.1.ff.fc1.bias", 0x0001c1},
                                                    {"layers.1.ff.fc2.weight", 0x0001c2},
                                                    {"layers.1.ff.fc2.bias", 0x0001c3}};
  for (SpanKind kind : kKinds) {  // which have parameters of their own between the others
    const Transformer model(small_model(kind), 1);
    size_t found = 0;
    for (const Parameter* p : model.parameters().all()) {
      for (const auto& [name, site] : sites) {
        if (p->name() != name) continue;
        ++found;
        const RandomKey key{.seed = 1, .purpose = Purpose::initialisation, .site = site};
        const bool normal = site == 0xffff08 || site == 0xffff10;
        const int64_t fan_in = p->name().find("fc2") != std::string::npos ? 32 : 16;
        const double uniform =
            (2 * random_uniform(key, 3) - 1) / std::sqrt(static_cast<double>(fan_in));
        CHECK(p->value().data()[3] == static_cast<float>(normal ? random_normal(key, 3) : uniform));
      }
    }
    CHECK(found == std::size(sites));
  }
}

TEST_CASE("no two parameters of a model start with the same numbers") {
  ModelConfig config = small_model(SpanKind::fixed);
  config.layers = 5;
  std::set<float> firsts;
  size_t drawn = 0;
  const Transformer model(config, 1);
  for (const Parameter* p : model.parameters().all()) {
    if (p->name().find("norm") != std::string::npos) continue;  // 1 and 0
    ++drawn;
    firsts.insert(p->value().data()[0] / p->value().data()[1]);
  }
  CHECK(drawn == 4 + 5 * 8);
  CHECK(firsts.size() == drawn);
}

TEST_CASE("each place of dropout has the numbers of its layer and role, which never change") {
  CHECK(random_site(7, RandomRole::attention_dropout) == 0x000780);
  ModelConfig config = small_model(SpanKind::fixed);
  config.dropout = config.embedding_dropout = 0.4f;
  Transformer model(config, 1);
  // One token: gradients stop where activations were dropped.
  const int32_t zero[] = {0};
  const Tensor id = Tensor::of({1, 1}, zero);
  Tape tape;
  tape.backward(
      model
          .loss(tape, id, id, model.fresh_memory(1), TrainingStep{.seed = 5, .step = 2, .batch = 1})
          .total);
  const auto check_gradient = [&](const char* name, uint32_t site, bool relu) {
    CAPTURE(name);
    for (const Parameter* p : model.parameters().all()) {
      if (p->name() != name) continue;
      const int64_t n = p->shape()[-1];
      const Dropout mask{.rate = 0.4f,
                         .key = {.seed = 5, .purpose = Purpose::dropout, .step = 2, .site = site},
                         .batch = 1};
      Tape no_tape(Tape::Mode::evaluation);
      const Variable kept =
          dropout(no_tape, Variable::constant(Tensor::filled({1, 1, n}, 1)), mask);
      int64_t through = 0;
      for (int64_t i = 0; i < n; ++i) {
        const bool stopped = p->grad().data()[i] == 0, dropped = kept.value().data()[i] == 0;
        CHECK((relu ? stopped || !dropped : stopped == dropped));
        through += stopped ? 0 : 1;
      }
      CHECK(through > 0);
    }
  };
  check_gradient("in_emb.weight", 0xffff00, false);
  check_gradient("layers.1.norm2.bias", 0xffff01, false);
  check_gradient("layers.0.ff.fc1.bias", 0x000081, true);
  check_gradient("layers.1.ff.fc1.bias", 0x000181, true);
}

TEST_CASE("sizes that do not fit are refused with what to do") {
  const auto refuses = [](auto change, const char* text) {
    ModelConfig config = small_model(SpanKind::adaptive);
    change(config);
    CHECK_THROWS_WITH_AS(Transformer(config, 1), doctest::Contains(text), Error);
  };
  refuses([](ModelConfig& c) { c.heads = 3; },
          "[model] expected model.heads to divide model.hidden; got 3 heads for 16; try "
          "model.hidden 18");
  refuses([](ModelConfig& c) { c.ramp = 0; }, "model.ramp");
  refuses([](ModelConfig& c) { c.span_limit = 0; }, "model.span_limit");
  refuses([](ModelConfig& c) { c.layers = 0; }, "model.layers of at least 1; got 0");
  refuses([](ModelConfig& c) { c.layers = 65535; }, "model.layers below 65535; got 65535");
  refuses([](ModelConfig& c) { c.inner = 0; }, "model.inner");
  refuses([](ModelConfig& c) { c.hidden = 0; }, "model.hidden");
  refuses([](ModelConfig& c) { c.persistent = -1; }, "model.persistent of at least 0; got -1");
  refuses([](ModelConfig& c) { c.vocabulary = 0; }, "vocabulary");
  refuses([](ModelConfig& c) { c.dropout = 1; }, "model.dropout");
  refuses([](ModelConfig& c) { c.embedding_dropout = -0.1f; }, "model.embedding_dropout");
  refuses([](ModelConfig& c) { c.span_init = 1.1f; }, "model.span_init");
  refuses([](ModelConfig& c) { c.span_loss = -1; }, "model.span_loss");
}

TEST_CASE("memory and ids that do not fit the model are refused") {
  const Transformer model(small_model(SpanKind::fixed), 1);
  Tape tape(Tape::Mode::evaluation);
  const auto refuses = [&](const Tensor& ids, const Memory& memory) {
    const doctest::Contains text("[transformer]");
    CHECK_THROWS_WITH_AS(model.predict(ids, memory), text, Error);
    CHECK_THROWS_WITH_AS(model.loss(tape, ids, ids, memory), text, Error);
  };
  refuses(random_ids(4), empty_memory(1, B, 16));
  refuses(random_ids(4), empty_memory(2, B + 1, 16));
  refuses(random_ids(4), empty_memory(2, B, 8));
  refuses(random_ids(4), empty_memory(2, B, 16, DType::bf16));
  refuses(random_ids(4).reshaped({4 * B}), empty_memory(2, B, 16));
}
