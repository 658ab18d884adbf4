// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>
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
  for (Parameter* p : model.parameters().all()) {
    for (int64_t i = 0; i < p->value().elements(); ++i, ++place) {
      const RandomKey key{.seed = 9, .purpose = Purpose::benchmark};
      if (is_span(*p)) {
        p->value().data()[i] = static_cast<float>(0.8 * random_uniform(key, place));
      } else if (p->name().find("dynamic_span") != std::string::npos) {
        p->value().data()[i] = static_cast<float>(random_uniform(key, place) - 0.5);
      }
    }
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

/// Logits of the whole stream, worked on in blocks of M.
std::vector<float> logits_by_blocks(const Transformer& model, const Tensor& ids, int64_t M) {
  std::vector<float> all;
  Memory memory = model.fresh_memory(B);
  for (int64_t t = 0; t < ids.shape()[0]; t += M) {
    Tape tape(Tape::Mode::evaluation);
    TransformerOutput out = model.forward(tape, steps(ids, t, M), memory);
    memory = std::move(out.memory);
    const auto values = out.logits.value().values();
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

}  // namespace

TEST_CASE("one long block gives what many short ones with memory give") {
  const Tensor ids = random_ids(48);
  for (SpanKind kind : kKinds) {
    Transformer model(small_model(kind), 1);
    spread_spans(model);
    const std::vector<float> whole = logits_by_blocks(model, ids, 48);
    for (int64_t M : {1, 4, 16, 24}) {
      INFO("kind ", static_cast<int>(kind), ", blocks of ", M);
      CHECK(difference(logits_by_blocks(model, ids, M), whole) < kRounding);
    }
  }
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
    for (Parameter* p : model->parameters().all()) {
      if (!is_span(*p)) continue;
      p->value().data()[0] = 0.02f;
      p->value().data()[1] = 0.1f;
    }
  }
  Tape tape(Tape::Mode::evaluation);
  const Memory nothing = empty_memory(config.layers, B, config.hidden);
  CHECK(cut.forward(tape, ids, nothing).memory[1].shape()[0] == 72 + 64);
  CHECK(whole.forward(tape, ids, nothing).memory[1].shape()[0] == 200);
  CHECK(difference(logits_by_blocks(cut, ids, 16), logits_by_blocks(whole, ids, 16)) < kRounding);
}

TEST_CASE("a stream forgets exactly what lies beyond its memory") {
  // Two streams that differ only in their first step: with S = 24 and two layers, nothing of it is
  // left after 48 steps, and something is left before.
  const Tensor a = random_ids(72);
  Tensor b = a.clone();
  for (int64_t i = 0; i < B; ++i) b.data<int32_t>()[i] = (b.data<int32_t>()[i] + 1) % V;
  Transformer model(small_model(SpanKind::fixed), 1);
  const std::vector<float> x = logits_by_blocks(model, a, 8), y = logits_by_blocks(model, b, 8);
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
  const std::vector<float> x = logits_by_blocks(model, a, 16), y = logits_by_blocks(model, b, 16);
  for (int64_t i = 0; i < 10 * B * V; ++i) CHECK(x[i] == y[i]);
}

TEST_CASE("steps before the start of a stream take part unless they are left out") {
  const Tensor ids = random_ids(8);
  ModelConfig config = small_model(SpanKind::fixed);
  const Transformer with_zeros(config, 1);
  config.skip_missing = true;
  const Transformer without(config, 1);
  CHECK(difference(logits_by_blocks(with_zeros, ids, 8), logits_by_blocks(without, ids, 8)) > 1e-3);
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
  CHECK(difference(logits_by_blocks(shorter, ids, 8), logits_by_blocks(without, ids, 8)) <
        kRounding);
}

TEST_CASE("in bf16 a model computes what it computes in f32, to the roundings on the way") {
  if (!bf16_obstacle().empty()) return;
  const Tensor ids = random_ids(48);
  for (SpanKind kind : kKinds) {
    CAPTURE(static_cast<int>(kind));
    ModelConfig config = small_model(kind);
    Transformer f32(config, 1);
    config.precision = DType::bf16;
    Transformer half(config, 1);
    for (Transformer* model : {&f32, &half}) spread_spans(*model);
    for (int64_t M : {16, 48}) {
      const auto wide = logits_by_blocks(f32, ids, M), narrow = logits_by_blocks(half, ids, M);
      // About 2 layers x 8 roundings of 2^-8 are behind a logit, independent of each other.
      CHECK(difference(narrow, wide) < 4 * 0x1p-8);
      CHECK(difference(narrow, wide) > 0x1p-12);
    }
    // What bounds of blocks change is order and place of roundings.
    CHECK(difference(logits_by_blocks(half, ids, 4), logits_by_blocks(half, ids, 48)) < 4 * 0x1p-8);

    Tape tape;
    const TransformerOutput out = half.forward(tape, ids, half.fresh_memory(B));
    CHECK(out.logits.type() == DType::f32);
    CHECK(out.memory[1].type() == DType::bf16);
  }
}

TEST_CASE("bf16 is refused where it cannot run") {
  ModelConfig config = small_model(SpanKind::adaptive);
  config.precision = DType::bf16;
  set_isa(Isa::plain);
  CHECK_THROWS_WITH_AS(Transformer(config, 1),
                       "[model] expected --precision f32, since the kernels of level plain compute "
                       "in f32; got bf16; use --precision f32 or auto",
                       Error);
  set_isa(best_isa());
}

TEST_CASE("the memory shares the layers' inputs with the tape") {
  const Transformer model(small_model(SpanKind::fixed), 1);  // keeps 24 steps
  Tape tape;
  const TransformerOutput out = model.forward(tape, random_ids(24), model.fresh_memory(B));
  for (const LayerMemory& memory : out.memory) {
    REQUIRE(memory.segments().size() == 1);
    CHECK(memory.segments()[0].value.use_count() > 1);  // a copy would have one owner
  }
}

TEST_CASE("the feed-forward layer drops inner activations and adds its input") {
  const ModelConfig config = small_model(SpanKind::fixed);
  ParameterStore store(1);
  const FeedForward layer(config, store, "ff.");
  const auto weight = [&](size_t i) { return store.all()[i]->variable(); };
  Tensor values({5, B, 16});
  for (int64_t i = 0; i < values.elements(); ++i) {
    values.data()[i] = static_cast<float>(random_uniform({.seed = 2}, i) - 0.5);
  }
  const Variable x = Variable::constant(std::move(values));
  for (float rate : {0.0f, 0.4f}) {
    const Dropout mask{.rate = rate, .key = {.purpose = Purpose::dropout}, .batch = B};
    Tape tape(Tape::Mode::evaluation);
    const Variable inner = linear(tape, x, weight(0), weight(1), {.activation = Activation::relu});
    const Variable expected =
        add(tape, x, linear(tape, dropout(tape, inner, mask), weight(2), weight(3)));
    const Variable found = layer.forward(tape, x, mask);
    for (int64_t i = 0; i < x.value().elements(); ++i) {
      CHECK(found.value().data()[i] == doctest::Approx(expected.value().data()[i]).epsilon(1e-5));
    }
  }
}

TEST_CASE("the span loss is lambda times the sum over layers of the mean span") {
  ModelConfig config = small_model(SpanKind::adaptive);
  config.span_loss = 0.5f;
  Transformer model(config, 1);
  Tape tape;
  const TransformerOutput out =
      model.forward(tape, random_ids(4), empty_memory(config.layers, B, config.hidden));
  CHECK(out.span_loss.value().item() == doctest::Approx(0.5 * 2 * 0.3 * 24));
  CHECK(out.spans == std::vector<std::vector<float>>(2, std::vector<float>(2, 0.3f * 24)));
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

TEST_CASE("sizes that do not fit are refused with what to do") {
  const auto refuses = [](auto change, const char* text) {
    ModelConfig config = small_model(SpanKind::adaptive);
    change(config);
    CHECK_THROWS_WITH_AS(Transformer(config, 1), doctest::Contains(text), Error);
  };
  refuses([](ModelConfig& c) { c.heads = 3; }, "[model] expected --nheads to divide --hid-sz");
  refuses([](ModelConfig& c) { c.ramp = 0; }, "--adapt-span-ramp");
  refuses([](ModelConfig& c) { c.span_limit = 0; }, "--attn-span");
  refuses([](ModelConfig& c) { c.layers = 0; }, "--nlayers");
  refuses([](ModelConfig& c) { c.inner = 0; }, "--inner-hid-sz");
  refuses([](ModelConfig& c) { c.hidden = 0; }, "--hid-sz");
  refuses([](ModelConfig& c) { c.vocabulary = 0; }, "vocabulary");
  refuses([](ModelConfig& c) { c.dropout = 1; }, "--dropout");
  refuses([](ModelConfig& c) { c.embedding_dropout = -0.1f; }, "--emb-dropout");
  refuses([](ModelConfig& c) { c.span_init = 1.1f; }, "--adapt-span-init");
  refuses([](ModelConfig& c) { c.span_loss = -1; }, "--adapt-span-loss");
}

TEST_CASE("memory and ids that do not fit the model are refused") {
  const Transformer model(small_model(SpanKind::fixed), 1);
  Tape tape(Tape::Mode::evaluation);
  const auto refuses = [&](const Tensor& ids, const Memory& memory) {
    CHECK_THROWS_WITH_AS(model.forward(tape, ids, memory), doctest::Contains("[transformer]"),
                         Error);
  };
  refuses(random_ids(4), empty_memory(1, B, 16));
  refuses(random_ids(4), empty_memory(2, B + 1, 16));
  refuses(random_ids(4), empty_memory(2, B, 8));
  refuses(random_ids(4), empty_memory(2, B, 16, DType::bf16));
  refuses(random_ids(4).reshaped({4 * B}), empty_memory(2, B, 16));
}
