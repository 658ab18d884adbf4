// SPDX-License-Identifier: MIT
// The fused attention is the naive one: values and every gradient, for every level of kernels.
#include "adaspan/ops/tiles/span_attention_passes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/tiles/tile_geometry.h"
#include "tests/support/gradient_check.h"
#include "tests/support/span_problem.h"

namespace adaspan {
#if defined(ADASPAN_EMULATED_TILES)
namespace emulated_amx {
const SpanKernels<bf16>& span_kernels_bf16();
}
#endif
namespace {

constexpr SpanProblem::Spans kLearned[] = {SpanProblem::adaptive, SpanProblem::dynamic};
constexpr Dropout kDropout = {.rate = 0.3f, .key = {.seed = 3}, .first_sequence = 1, .batch = 4};

/// Values that a bf16 holds exactly, so that both types start from the same numbers.
Tensor representable(Shape shape, uint64_t seed, double size) {
  return random_tensor(std::move(shape), seed, -size, size)
      .converted(DType::bf16)
      .converted(DType::f32);
}

struct Case {
  explicit Case(const SpanProblem& p)
      : options(p.options()),
        qkv(representable({p.M, p.B, 3 * p.K() * p.D}, 1, 2)),
        memory_kv(representable({total(options.memory_steps), p.B, 2 * p.D}, 2, 2)),
        positions(representable({p.D, p.S}, 3, 1)),
        z(p.kind == SpanProblem::fixed ? Tensor() : p.spans()),
        persistent_keys(p.P > 0 ? representable({p.K(), p.D, p.P}, 5, 2) : Tensor()),
        persistent_values(p.P > 0 ? representable({p.K(), p.P, p.D}, 6, 2) : Tensor()),
        dout(representable({p.M, p.B, p.K() * p.D}, 4, 1)) {}

  static int64_t total(const std::vector<int64_t>& memory_steps) {
    int64_t sum = 0;
    for (int64_t steps : memory_steps) sum += steps;
    return sum;
  }

  SpanAttentionOptions options;
  Tensor qkv, memory_kv, positions, z, persistent_keys, persistent_values, dout;
};

/// out and the gradients of qkv, memory_kv, p, z, persistent keys and values
using Results = std::vector<Tensor>;

Results naive(const Case& c) {
  Parameter qkv("qkv", c.qkv.clone()), memory("memory", c.memory_kv.clone()),
      positions("p", c.positions.clone()), z("z", c.z.clone()), n("n", c.persistent_keys.clone()),
      u("u", c.persistent_values.clone());
  const auto given = [](const Parameter& p) {
    return p.value().elements() == 0 ? Variable() : p.variable();
  };
  Tape tape;
  const Variable out = span_attention_naive(
      tape, {qkv.variable(), memory.variable(), positions.variable(), given(z), given(n), given(u)},
      c.options);
  Results results;
  results.push_back(out.value().clone());
  // sum(dout out), whose gradient of out is dout
  const Variable loss = tape.record(
      "sum", {out}, Tensor::filled({1}, 0),
      [d = out.grad(), dout = share(c.dout.clone())](const Tensor&) { d.add(dout->clone()); });
  tape.backward(loss);
  for (const Parameter* p : {&qkv, &memory, &positions, &z, &n, &u}) {
    results.push_back(p->grad().clone());
  }
  return results;
}

/// Those of the level in use; AMX's on emulated tiles in the test that brings them.
SpanKernelTables kernels_under_test() {
#if defined(ADASPAN_EMULATED_TILES)
  const SpanKernelTables tables = span_kernels();
  return {tables.f32_products, emulated_amx::span_kernels_bf16(), tables.rows};
#else
  return span_kernels();
#endif
}

Results fused(const Case& c, DType type) {
  const Tensor qkv = c.qkv.converted(type), memory_kv = c.memory_kv.converted(type);
  const auto given = [](const Tensor& x) { return x.empty() ? nullptr : &x; };
  const SpanAttentionValues x{qkv,
                              memory_kv,
                              c.positions,
                              given(c.z),
                              given(c.persistent_keys),
                              given(c.persistent_values)};
  SpanAttentionForward forward = span_attention_forward(x, c.options, kernels_under_test());
  SpanAttentionGradients d = span_attention_backward(x, c.options, forward.scales,
                                                     c.dout.converted(type), kernels_under_test());
  CHECK(forward.out.type() == type);
  Results results;
  for (Tensor* t :
       {&forward.out, &d.qkv, &d.memory_kv, &d.p, &d.z, &d.persistent_keys, &d.persistent_values}) {
    results.push_back(t->empty() ? Tensor() : t->converted(DType::f32));
  }
  return results;
}

/// f32: rounding of sums of up to a few hundred terms. bf16: weights and gradients of scores are
/// rounded, and so is each result. One rounding is off by at most 2^-8 of a number, and norm-wise
/// by about 0.4 of that: the two together stay below 2^-8. The gradient of z is never rounded to
/// bf16, nor are the scores it comes from.
double bound(DType type, const std::string& result) {
  return type == DType::f32 || result == "dz" ? 1e-5 : 0x1p-8;
}

double norm(const Tensor& x) {
  double sum = 0;
  for (float value : x.values()) sum += double{value} * value;
  return std::sqrt(sum);
}

/// Some gradients cancel: with one key all but that of v are zero. They are measured against a part
/// of dqkv; that of z, a sum over the scores of all queries, against all of it.
void check_like(const Results& found, const Results& expected, DType type) {
  const char* names[] = {"out", "dqkv", "dmemory_kv", "dp", "dz", "dn", "du"};
  const double share[] = {0, 0.05, 0.05, 0.05, 1, 0.05, 0.05};
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].empty() || expected[i].elements() == 0) continue;
    CAPTURE(std::string(names[i]));
    REQUIRE(found[i].shape() == expected[i].shape());
    Tensor difference = found[i].clone();
    for (int64_t j = 0; j < difference.elements(); ++j) {
      difference.data()[j] -= expected[i].data()[j];
    }
    const double size = std::max(norm(expected[i]), share[i] * norm(expected[1]));
    CHECK(norm(difference) <= bound(type, names[i]) * size);
  }
}

std::vector<Isa> levels() {
  std::vector<Isa> all;
  for (Isa level : {Isa::plain, Isa::avx2, Isa::avx512, Isa::amx}) {
    if (level <= best_isa()) all.push_back(level);
  }
  return all;
}

void check(const SpanProblem& p) {
  const Case c(p);
  CAPTURE(p.text());
  const Results expected = naive(c);
  for (Isa level : levels()) {
    set_isa(level);
    CAPTURE(std::string(name(level)));
    for (DType type : {DType::f32, DType::bf16}) {
      CAPTURE(std::string(name(type)));
      check_like(fused(c, type), expected, type);
    }
  }
  set_isa(best_isa());
}

}  // namespace

TEST_CASE("fused attention is the naive one for spans of all kinds") {
  const float R = 32, S = 150;
  for (SpanProblem::Spans kind : kLearned) {
    for (float z : {0.0f, 1.0f, R - 1, R, 20.4f, 64.7f, S - R, S}) {
      check({.kind = kind, .z = {z, 3.5f}});
    }
  }
  check({.kind = SpanProblem::fixed, .z = {S, S}});
  check({.kind = SpanProblem::fixed, .z = {S + 1}, .S = 151});
}

TEST_CASE("fused attention is the naive one for blocks and memories of all lengths") {
  for (int64_t M : {1, 2, 63, 64, 65, 130}) {
    for (int64_t C : {0, 7, 300}) {
      for (SpanProblem::Spans kind : kLearned) {
        check({.kind = kind, .z = {40.2f, 0}, .M = M, .B = 1, .C = C});
        check({.kind = kind, .z = {9.1f}, .M = M, .C = C, .skip_missing = true});
      }
      check(
          {.kind = SpanProblem::fixed, .z = {150}, .M = M, .B = 1, .C = C, .skip_missing = C == 7});
    }
  }
}

TEST_CASE("fused attention is the naive one where later queries look back further") {
  for (int64_t C : {0, 300}) {
    check({.kind = SpanProblem::dynamic,
           .z = {118, 5},
           .narrow_middle = true,
           .M = 192,
           .B = 1,
           .C = C});
  }
}

TEST_CASE("fused attention is the naive one whatever is left of a last vector of keys") {
  for (float z = 1; z <= 17; ++z) check({.z = {z, 3 * z + 16}, .M = 70, .B = 1, .D = 8});
}

TEST_CASE("fused attention is the naive one for heads of all widths") {
  for (int64_t D : {1, 8, 20, 32, 64, 128}) check({.z = {20.3f, 0}, .M = 70, .D = D});
}

TEST_CASE("fused attention is the naive one for short limits and ramps") {
  for (int64_t S : {1, 2, 3, 33}) {
    for (int64_t R : {1, 2, 32}) {
      check({.z = {0.5f * static_cast<float>(S), 0}, .M = 37, .S = S, .R = R, .C = S});
    }
  }
}

TEST_CASE("fused attention is the naive one with persistent vectors of all numbers") {
  for (int64_t P : {1, 2, 15, 16, 33, 100}) {
    for (SpanProblem::Spans kind : kLearned)
      check({.kind = kind, .z = {20.3f, 0}, .M = 70, .P = P});
    check({.kind = SpanProblem::fixed, .z = {150}, .M = 70, .B = 1, .P = P});
  }
}

TEST_CASE(
    "fused attention is the naive one with persistent vectors, blocks and heads of all sizes") {
  for (int64_t M : {1, 63, 130}) {
    for (int64_t C : {0, 7, 300}) {
      check({.z = {40.2f, 0}, .M = M, .B = 1, .C = C, .P = 20});
      check({.kind = SpanProblem::dynamic,
             .z = {9.1f},
             .M = M,
             .C = C,
             .skip_missing = true,
             .P = 20});
    }
  }
  for (int64_t D : {1, 20, 64}) check({.z = {20.3f, 0}, .M = 70, .D = D, .P = 40});
  for (float z = 1; z <= 17; ++z) check({.z = {z, 3 * z + 16}, .M = 70, .B = 1, .D = 8, .P = 9});
  check({.kind = SpanProblem::dynamic, .z = {118, 5}, .narrow_middle = true, .M = 192, .P = 33});
  check({.z = {20.3f, 0, 4}, .M = 10, .B = 49, .D = 8, .P = 9});  // parts of two heads
}

TEST_CASE("fused attention drops the weights that the naive one drops") {
  for (SpanProblem::Spans kind : kLearned) {
    check({.kind = kind, .z = {30.5f, 2}, .dropout = kDropout});
  }
  check({.kind = SpanProblem::fixed, .z = {151}, .S = 151, .dropout = kDropout});
  for (SpanProblem::Spans kind : kLearned) {
    check({.kind = kind, .z = {30.5f, 2}, .dropout = kDropout, .P = 37});
  }
}

TEST_CASE("what is behind the mask changes no result and no gradient, whatever score and value") {
  // The last step within the mask has the largest score and the least mask there is, 2^-24; one
  // step further lies one that is ahead of all by far more than a float's e^x.
  const SpanProblem p{.z = {20 + 0x1p-18f}, .M = 1, .B = 1, .S = 150, .wider = 10};
  Case c(p);
  const int64_t steps = c.options.memory_steps[0], last = steps - 53;
  REQUIRE(c.options.effective_spans[0] == 63);
  const auto key = [&](int64_t step) { return c.memory_kv.data() + step * 2 * p.D; };
  std::fill_n(c.positions.data(), c.positions.elements(), 0.0f);
  for (int64_t d = 0; d < p.D; ++d) key(last)[d] = 8 * c.qkv.data()[d];
  for (Isa level : levels()) {
    set_isa(level);
    CAPTURE(std::string(name(level)));
    for (DType type : {DType::f32, DType::bf16}) {
      CAPTURE(std::string(name(type)));
      Results without;
      for (float size : {0.0f, 12.0f, 32.0f, 1024.0f, 0x1p100f}) {
        for (int64_t d = 0; d < p.D; ++d) {
          key(last - 1)[d] = size * c.qkv.data()[d];
          key(last - 1)[p.D + d] = size;
        }
        const Results found = fused(c, type);
        if (size == 0) {
          check_like(found, naive(c), type);
          without = fused(c, type);
        }
        CAPTURE(size);
        for (size_t i = 0; i < found.size(); ++i) {
          CHECK(std::isfinite(norm(found[i])));
          CHECK(same_bits(found[i], without[i]));
        }
      }
    }
  }
  set_isa(best_isa());
}

TEST_CASE("a key at the very end of the ramp moves the span by a number, however large its score") {
  const SpanProblem p{.z = {0}, .M = 1, .B = 1};  // sees distances 1 to 32; that of 33 only moves z
  Case c(p);
  REQUIRE(c.options.effective_spans[0] == 33);
  for (Isa level : levels()) {
    set_isa(level);
    CAPTURE(std::string(name(level)));
    for (DType type : {DType::f32, DType::bf16}) {
      Results without;
      for (float size : {0.0f, 100.0f, 0x1p60f}) {
        for (int64_t d = 0; d < p.D; ++d) c.memory_kv.data()[d] = size * c.qkv.data()[d];
        const Results found = fused(c, type);
        if (size == 0) without = fused(c, type);
        for (size_t i : {0, 1, 2, 3}) CHECK(same_bits(found[i], without[i]));
        CHECK(std::abs(found[4].data()[0]) < 1e18);  // its square is a number
      }
    }
  }
  set_isa(best_isa());
}

TEST_CASE("fused attention is the naive one for scores of all sizes") {
  for (float size : {0x1p-60f, 0x1p8f, 0x1p16f, 0x1p32f, 0x1p60f}) {  // of q and of k
    for (SpanProblem::Spans kind : kLearned) {
      const SpanProblem p{.kind = kind, .z = {20.3f, 0}, .M = 70, .B = 1};
      Case c(p);
      const int64_t H = p.K() * p.D;
      for (int64_t i = 0; i < c.qkv.elements(); ++i) {
        if (i % (3 * H) < 2 * H) c.qkv.data()[i] *= size;
      }
      for (int64_t i = 0; i < c.memory_kv.elements(); ++i) {
        if (i % (2 * p.D) < p.D) c.memory_kv.data()[i] *= size;
      }
      CAPTURE(size);
      const Results expected = naive(c);
      for (Isa level : levels()) {
        set_isa(level);
        CAPTURE(std::string(name(level)));
        for (DType type : {DType::f32, DType::bf16}) {
          CAPTURE(std::string(name(type)));
          const Results found = fused(c, type);
          for (const Tensor& result : found) CHECK(std::isfinite(norm(result)));
          CHECK(relative_distance(found[0], Array(expected[0])) < bound(type, "out"));
          // Near ties among large scores have few digits; the gradients of values lead.
          for (size_t i : {1, 2}) {
            CHECK(relative_distance(found[i], Array(expected[i])) < bound(DType::bf16, "dqkv"));
          }
        }
      }
      set_isa(best_isa());
    }
  }
}

TEST_CASE("a key far ahead of all others takes all the weight") {
  const SpanProblem p{.z = {20}, .M = 1, .B = 1};
  Case c(p);
  constexpr int64_t kAhead = 40;  // of 53: mask 1
  for (int64_t d = 0; d < p.D; ++d) {
    c.memory_kv.data()[kAhead * 2 * p.D + d] = 1024 * c.qkv.data()[d];
  }
  for (Isa level : levels()) {
    set_isa(level);
    for (DType type : {DType::f32, DType::bf16}) {
      const Results found = fused(c, type);
      for (int64_t d = 0; d < p.D; ++d) {
        const float v = c.memory_kv.data()[(kAhead * 2 + 1) * p.D + d];
        CHECK(std::abs(found[0].data()[d] - v) <= 1e-6f * std::abs(v));
      }
      for (const Tensor& gradient : found) CHECK(std::isfinite(norm(gradient)));
    }
  }
  set_isa(best_isa());
}

TEST_CASE("what is not a number stays visible") {
  const float nan = std::nanf("");
  for (Isa level : levels()) {
    set_isa(level);
    Case span({.z = {20}, .B = 1}), key({.z = {20}, .B = 1});
    span.z.data()[0] = nan;
    for (float x : fused(span, DType::f32)[0].values()) CHECK(std::isnan(x));
    key.memory_kv.data()[key.memory_kv.elements() - 2 * 32] =
        nan;  // k of the step before the block
    CHECK(std::isnan(fused(key, DType::f32)[0].data()[0]));
  }
  set_isa(best_isa());
}

TEST_CASE("nothing is computed that no span covers, but for rounding to vectors and row blocks") {
  for (Isa level : levels()) {
    if (level == Isa::plain || level == Isa::amx) continue;  // whose f32 is another's
    set_isa(level);
    for (int64_t E : {2, 32, 33, 52, 128, 646}) {
      CAPTURE(E);
      const Case c({.z = {static_cast<float>(E - 32), 0}, .M = 256, .B = 2, .D = 64, .S = 700});
      SpanAttentionOptions options = c.options;
      options.effective_spans = {E, E};
      const SpanAttentionValues x{c.qkv, c.memory_kv, c.positions, &c.z};
      const int64_t before = counted_multiply_adds;
      const auto forward = span_attention_forward(x, options, counting_span_kernels());
      span_attention_backward(x, options, forward.scales, c.dout, counting_span_kernels());
      const int64_t counted = counted_multiply_adds - before;

      const int64_t even = round_up(E, 2), keys = even + 3, block = 4, vector = 8;
      const int64_t scores = 3 * round_up(keys, vector) + 2 * round_up(even, vector);
      const int64_t mix = 2 * keys + even, scatter = 2 * (keys + block) + round_up(even, block);
      const int64_t channels = 256 * 2 * 2 * 64;
      CHECK(counted >= channels * 11 * E);
      CHECK(counted <= channels * (scores + mix + scatter));
    }
  }
  set_isa(best_isa());
}

TEST_CASE("any number of threads gives the same bits, each thread with other data") {
  for (DType type : {DType::f32, DType::bf16}) {
    for (SpanProblem::Spans kind : kLearned) {
      const Case c({.kind = kind,
                    .z = {64.5f, 3, 20.2f},
                    .B = 13,
                    .dropout = {.rate = 0.1f, .key = {.seed = 3}, .first_sequence = 1, .batch = 15},
                    .P = 21});
      set_threads(1);
      const Results expected = fused(c, type);
      for (int threads : {2, 3, 4, 2, 3, 4}) {
        set_threads(threads);
        const Results found = fused(c, type);
        for (size_t i = 0; i < expected.size(); ++i) CHECK(same_bits(found[i], expected[i]));
      }
    }
  }
}

TEST_CASE("what a wider limit adds to the positions changes no bit") {
  SpanProblem p{.z = {20.3f, 64.1f}};
  const Case narrow(p);
  p.S = 1000;
  Case wide(p);
  wide.options.memory_steps = narrow.options.memory_steps;
  for (int64_t d = 0; d < p.D; ++d) {
    std::copy_n(narrow.positions.data() + d * 150, 150, wide.positions.data() + d * 1000 + 850);
  }
  const Results a = fused(narrow, DType::f32), b = fused(wide, DType::f32);
  for (size_t i : {0, 1, 2, 4}) CHECK(same_bits(a[i], b[i]));
}

}  // namespace adaspan
