// SPDX-License-Identifier: MIT
#include "adaspan/ops/span_attention.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "adaspan/ops/layout.h"
#include "tests/support/gradient_check.h"
#include "tests/support/span_problem.h"

namespace adaspan {
namespace {

constexpr int64_t K = 2, S = 12, R = 4;

SpanProblem small(SpanProblem::Spans kind, std::vector<float> z) {
  return {.kind = kind, .z = std::move(z), .M = 3, .B = 2, .D = 8, .S = S, .R = R, .C = 0};
}

/// q, k, v [M,B,H], the keys and values of all C steps of memory of one head after another
/// [K*C,B,D], p [D,S], unless spans are fixed z, and persistent keys [K,D,P] and values [K,P,D] if
/// there are any
std::vector<Tensor> inputs_of(const SpanProblem& p) {
  std::vector<Tensor> x;
  for (uint64_t seed : {1, 2, 3}) x.push_back(random_tensor({p.M, p.B, K * p.D}, seed, -2, 2));
  for (uint64_t seed : {4, 5}) x.push_back(random_tensor({K * p.C, p.B, p.D}, seed, -2, 2));
  x.push_back(random_tensor({p.D, S}, 6));
  if (p.kind != SpanProblem::fixed) x.push_back(p.spans());
  if (p.P > 0) {
    x.push_back(random_tensor({K, p.D, p.P}, 7, -2, 2));
    x.push_back(random_tensor({K, p.P, p.D}, 8, -2, 2));
  }
  return x;
}

using Attention = Variable(Tape&, const SpanAttentionInputs&, const SpanAttentionOptions&);

/// Attention of the problem's inputs; each head is given as much memory as it reaches.
Variable attend(Tape& tape, const Variables& x, const SpanProblem& problem,
                Attention& attention = span_attention_naive) {
  const SpanAttentionOptions options = problem.options();
  const auto reached = [&](const Variable& memory) {
    Variables parts;
    for (int64_t h = 0; h < K; ++h) {
      const int64_t steps = options.memory_steps[static_cast<size_t>(h)];
      parts.push_back(slice_steps(tape, memory, (h + 1) * problem.C - steps, steps));
    }
    return concat_steps(tape, parts);
  };
  const Variable memory_k = reached(x[3]), memory_v = reached(x[4]);
  return attention(tape,
                   {.qkv = concat_columns(tape, {x[0], x[1], x[2]}),
                    .memory_kv = concat_columns(tape, {memory_k, memory_v}),
                    .p = x[5],
                    .z = problem.kind != SpanProblem::fixed ? x[6] : Variable(),
                    .persistent_keys = problem.P > 0 ? x[x.size() - 2] : Variable(),
                    .persistent_values = problem.P > 0 ? x[x.size() - 1] : Variable()},
                   options);
}

/// m_z(u) = clamp((R + z - u) / R, 0, 1) around the span z0. A derivative counts on the closed
/// ramp, its ends included: as the mask has kinks there, it goes on as a straight line.
double soft_mask(double z, double z0, int64_t u) {
  const double raw = (R + z0 - static_cast<double>(u)) / R;
  return std::clamp(raw, 0.0, 1.0) + (raw >= 0 && raw <= 1 ? (z - z0) / R : 0);
}

/// One head's attention of query t of sequence b, over all S steps before it.
struct Query {
  const SpanProblem& problem;
  const Arrays& x;
  const Array& z0;
  int64_t t, b, h;

  /// Step r of the keys (x[1], x[3]) or values (x[2], x[4]); zero before the memory.
  double step(size_t block, int64_t r, int64_t d) const {
    if (r >= 0) return x[block](r, b, h * problem.D + d);
    return missing(r) ? 0 : x[block + 2]((h + 1) * problem.C + r, b, d);
  }
  bool missing(int64_t r) const { return r < -problem.C; }

  double mask(int64_t distance) const {
    if (problem.skip_missing && missing(t - distance)) return 0;
    if (problem.kind == SpanProblem::fixed) return distance <= problem.z[static_cast<size_t>(h)];
    const int64_t i = problem.kind == SpanProblem::adaptive ? h : (t * problem.B + b) * K + h;
    return soft_mask(x[6][i], z0[i], distance - 1);
  }
  double score(int64_t distance) const {
    double sum = 0;
    for (int64_t d = 0; d < problem.D; ++d) {
      const double q = x[0](t, b, h * problem.D + d);
      sum += q * (step(1, t - distance, d) + x[5](d, S - distance));
    }
    return sum / std::sqrt(static_cast<double>(problem.D));
  }
  double persistent_score(int64_t j) const {
    double sum = 0;
    for (int64_t d = 0; d < problem.D; ++d) {
      sum += x[0](t, b, h * problem.D + d) * x[x.size() - 2](h, d, j);
    }
    return sum / std::sqrt(static_cast<double>(problem.D));
  }
  /// Of S distances, the largest first, and P vectors.
  double dropped(int64_t place) const {
    const Dropout& dropout = problem.dropout;
    if (dropout.rate == 0) return 1;
    const int64_t row = t * dropout.batch + dropout.first_sequence + b;
    const auto number = static_cast<uint64_t>((row * K + h) * (S + problem.P) + place);
    const bool kept = random_uniform(dropout.key, number) >= dropout.rate;
    return kept ? 1 / (1 - double{dropout.rate}) : 0;
  }
};

Array definition(const Arrays& x, const SpanProblem& problem, const Array& z0) {
  Array out(x[0].shape());
  for (int64_t t = 0; t < problem.M; ++t) {
    for (int64_t b = 0; b < problem.B; ++b) {
      for (int64_t h = 0; h < K; ++h) {
        const Query query{problem, x, z0, t, b, h};
        double weights[S + 1], sum = 0;
        std::vector<double> persistent;
        for (int64_t distance = 1; distance <= S; ++distance) {
          weights[distance] = query.mask(distance) * std::exp(query.score(distance));
          sum += weights[distance];
        }
        for (int64_t j = 0; j < problem.P; ++j) {
          sum += persistent.emplace_back(std::exp(query.persistent_score(j)));
        }
        for (int64_t distance = 1; distance <= S && sum > 0; ++distance) {
          const double a = query.dropped(S - distance) * weights[distance] / sum;
          for (int64_t d = 0; d < problem.D; ++d) {
            out(t, b, h * problem.D + d) += a * query.step(2, t - distance, d);
          }
        }
        for (int64_t j = 0; j < problem.P; ++j) {
          const double a = query.dropped(S + j) * persistent[static_cast<size_t>(j)] / sum;
          for (int64_t d = 0; d < problem.D; ++d) {
            out(t, b, h * problem.D + d) += a * x.back()(h, j, d);
          }
        }
      }
    }
  }
  return out;
}

void check_problem(const SpanProblem& problem, int64_t samples = 6) {
  const Array z0(problem.spans());
  CAPTURE(problem.text());
  for (Attention* attention : {span_attention_naive, span_attention}) {
    CAPTURE(attention == span_attention);
    check_op([&](Tape& tape, const Variables& x) { return attend(tape, x, problem, *attention); },
             [&](const Arrays& x) { return definition(x, problem, z0); }, inputs_of(problem),
             {.samples = samples});
  }
}

/// Checks blocks shorter and longer than the span with no, little and much memory; sequences, head
/// width, skip_missing and dropout go through their values on the way.
void check_grid(SpanProblem::Spans kind, const std::vector<std::vector<float>>& z_of_heads) {
  int i = 0;
  for (const std::vector<float>& z : z_of_heads) {
    for (int64_t M : {3, 14}) {
      for (int64_t C : {0, 3, 16}) {
        for (bool skip_missing : {false, true}) {
          ++i;
          SpanProblem problem = small(kind, z);
          problem.M = M;
          problem.C = C;
          problem.skip_missing = skip_missing;
          problem.B = 1 + i / 2 % 2;
          problem.D = i / 3 % 2 ? 8 : 5;
          if (i % 5 < 2) problem.dropout = {.rate = 0.4f, .first_sequence = 1, .batch = 4};
          problem.P = i % 7 < 3 ? i % 7 * 3 : 0;
          check_problem(problem);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("attention over fixed spans is its definition") {
  check_grid(SpanProblem::fixed, {{S, S}, {1, S}, {S - 1, 5}});
}

TEST_CASE("attention over adaptive spans is its definition") {
  check_grid(SpanProblem::adaptive,
             {{0, 1}, {R - 1, R}, {S, 2.4f}, {0.7f, 8.3f}, {S - R, S - R - 1}});
}

TEST_CASE("attention over dynamic spans is its definition") {
  check_grid(SpanProblem::dynamic, {{0, 1}, {3.5f, S}, {R, 8.3f}});
}

TEST_CASE("a long block with many sequences is its definition, for any number of threads") {
  SpanProblem problem = small(SpanProblem::adaptive, {3.3f, 6.1f});
  problem.M = 300;
  problem.B = 5;
  problem.C = 16;
  check_problem(problem, 2);
}

TEST_CASE("spans given larger than needed change nothing, nor do they with dropout") {
  for (SpanProblem::Spans kind : {SpanProblem::adaptive, SpanProblem::dynamic}) {
    for (float rate : {0.0f, 0.4f}) {
      SpanProblem problem = small(kind, {0.7f, 3});
      problem.M = 6;
      problem.C = 16;
      problem.dropout = {.rate = rate, .first_sequence = 0, .batch = 2};
      const auto op = [&](Tape& tape, const Variables& x) {
        return attend(tape, x, problem, span_attention);
      };
      const OpResult needed = run_op(op, inputs_of(problem));
      for (int64_t wider : {int64_t{1}, S}) {
        problem.wider = wider;
        const OpResult more = run_op(op, inputs_of(problem));
        CHECK(relative_distance(more.y, Array(needed.y)) < 1e-6);
        for (size_t i = 0; i < more.gradients.size(); ++i) {
          CAPTURE(i);
          CHECK(relative_distance(more.gradients[i], Array(needed.gradients[i])) < 1e-5);
        }
      }
    }
  }
}

TEST_CASE("a step that no memory is left of gives nothing when missing steps are skipped") {
  SpanProblem problem = small(SpanProblem::adaptive, {2, 5});
  problem.M = 4;
  problem.skip_missing = true;
  const OpResult result = run_op(
      [&](Tape& tape, const Variables& x) { return attend(tape, x, problem, span_attention); },
      inputs_of(problem));
  const int64_t first_step = problem.B * K * problem.D;
  for (int64_t i = 0; i < first_step; ++i) {
    CHECK(result.y.data()[i] == 0);
    CHECK(result.gradients[0].data()[i] == 0);
  }
  CHECK(result.y.data()[first_step] != 0);
}

TEST_CASE("a part of the batch drops the weights that the whole batch drops") {
  SpanProblem problem = small(SpanProblem::fixed, {S, 5});
  problem.M = 6;
  problem.B = 3;
  problem.dropout = {.rate = 0.5f, .first_sequence = 0, .batch = 3};
  const std::vector<Tensor> inputs = inputs_of(problem);
  const auto run = [&](int64_t first, int64_t count) {
    problem.B = count;
    problem.dropout.first_sequence = first;
    Tape tape(Tape::Mode::evaluation);
    const auto part = [&](const Tensor& x) {  // sequences first .. first+count-1
      const int64_t n = x.shape()[2], steps = x.shape()[0];
      Tensor y({steps, count, n});
      for (int64_t t = 0; t < steps; ++t) {
        std::copy_n(x.data() + (t * 3 + first) * n, count * n, y.data() + t * count * n);
      }
      return Variable::constant(std::move(y));
    };
    return attend(tape,
                  {part(inputs[0]), part(inputs[1]), part(inputs[2]), part(inputs[3]),
                   part(inputs[4]), Variable::constant(inputs[5].clone())},
                  problem, span_attention)
        .value()
        .clone();
  };
  const Tensor whole = run(0, 3), last_two = run(1, 2);
  const int64_t H = K * problem.D;
  for (int64_t i = 0; i < last_two.elements(); ++i) {
    const int64_t t = i / (2 * H), in_step = i % (2 * H);
    CHECK(last_two.data()[i] ==
          doctest::Approx(whole.data()[t * 3 * H + H + in_step]).epsilon(1e-5));
  }
}

namespace {

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

/// A change to inputs and options that fit, and what span_attention says to it.
struct Misfit {
  std::function<void(SpanAttentionInputs&, SpanAttentionOptions&)> change;
  std::string text;
};

void check_misfit(const Misfit& misfit) {
  SpanAttentionInputs x{
      .qkv = zeros({3, 2, 24}), .memory_kv = zeros({5, 2, 8}), .p = zeros({4, 6}), .z = zeros({2})};
  SpanAttentionOptions options;
  options.effective_spans = {6, 3};
  options.memory_steps = {4, 1};
  Tape tape;
  for (Attention* attention : {span_attention_naive, span_attention}) {
    CHECK_NOTHROW(attention(tape, x, options));
  }
  misfit.change(x, options);
  const std::string text = "[span_attention] expected " + misfit.text;
  for (Attention* attention : {span_attention_naive, span_attention}) {
    CHECK_THROWS_WITH_AS(attention(tape, x, options), text.c_str(), Error);
  }
}

}  // namespace

TEST_CASE("queries, keys, values and positions that do not fit throw") {
  const std::string fit =
      "qkv [M,B,3H], and an effective span and memory steps for each of K heads that divide H; ";
  check_misfit({[](auto& x, auto&) {
                  x.qkv = zeros({3, 2, 20});
                },
                fit + "got [3, 2, 20], 2 and 2"});
  check_misfit({[](auto& x, auto&) { x.qkv = zeros({6, 24}); }, fit + "got [6, 24], 2 and 2"});
  check_misfit({[](auto&, auto& o) { o.effective_spans = o.memory_steps = {}; },
                fit + "got [3, 2, 24], 0 and 0"});
  check_misfit({[](auto&, auto& o) { o.memory_steps = {5}; }, fit + "got [3, 2, 24], 2 and 1"});
  check_misfit({[](auto& x, auto&) {
                  x.p = zeros({5, 6});
                },
                "positions [D,S] with D = 4; got [5, 6]"});
  check_misfit({[](auto& x, auto&) { x.p = zeros({4}); }, "positions [D,S] with D = 4; got [4]"});
}

TEST_CASE("types and sizes that do not fit throw") {
  const auto of_type = [](Shape shape, DType type) {
    return Variable::constant(Tensor::zeros(std::move(shape), type));
  };
  check_misfit({[&](auto& x, auto&) {
                  x.p = of_type({4, 6}, DType::bf16);
                },
                "positions and spans of type f32; got bf16 and f32"});
  check_misfit({[&](auto& x, auto&) { x.z = of_type({2}, DType::bf16); },
                "positions and spans of type f32; got f32 and bf16"});
  check_misfit({[](auto& x, auto&) {
                  x.qkv = zeros({3, 0, 24});
                },
                "M, B and D of at least 1; got [3, 0, 24]"});
  check_misfit({[](auto& x, auto&) {
                  x.qkv = zeros({3, 2, 0});
                },
                "M, B and D of at least 1; got [3, 2, 0]"});
  Tape tape;
  SpanAttentionOptions options;
  options.effective_spans = {2};
  options.memory_steps = {0};
  const SpanAttentionInputs half{.qkv = of_type({3, 2, 12}, DType::bf16),
                                 .memory_kv = of_type({0, 2, 8}, DType::bf16),
                                 .p = zeros({4, 6}),
                                 .z = {}};
  CHECK_NOTHROW(span_attention(tape, half, options));
  CHECK_THROWS_WITH_AS(span_attention_naive(tape, half, options),
                       "[span_attention] expected qkv of type f32 for the naive version; got bf16",
                       Error);
}

TEST_CASE("effective spans and memory steps that do not fit throw") {
  const std::string range = "effective spans in [1, 6] and memory steps in [0, span]; got ";
  check_misfit({[](auto&, auto& o) { o.effective_spans[0] = 7; }, range + "7 and 4 of head 0"});
  check_misfit({[](auto&, auto& o) { o.effective_spans[1] = 0; }, range + "0 and 1 of head 1"});
  check_misfit({[](auto&, auto& o) { o.memory_steps[1] = 4; }, range + "3 and 4 of head 1"});
  check_misfit({[](auto&, auto& o) { o.memory_steps[0] = -1; }, range + "6 and -1 of head 0"});
}

TEST_CASE("persistent keys and values that do not fit throw") {
  const std::string both =
      "persistent keys [2,4,P] and values [2,P,4] of type f32, or neither; got ";
  check_misfit({[](auto& x, auto&) {
                  x.persistent_keys = zeros({2, 4, 3});
                },
                both + "[2, 4, 3] of type f32 and none"});
  check_misfit({[](auto& x, auto&) {
                  x.persistent_keys = zeros({2, 4, 3});
                  x.persistent_values = zeros({2, 4, 3});
                },
                both + "[2, 4, 3] of type f32 and [2, 4, 3] of type f32"});
  check_misfit({[](auto& x, auto&) {
                  x.persistent_keys = zeros({2, 4, 0});
                  x.persistent_values = zeros({2, 0, 4});
                },
                both + "[2, 4, 0] of type f32 and [2, 0, 4] of type f32"});
}

TEST_CASE("memory, span parameters, ramps and dropout that do not fit throw") {
  const std::string memory = "keys and values of the memory of shape [5, 2, 8] and type f32; got ";
  check_misfit({[](auto& x, auto&) {
                  x.memory_kv = zeros({6, 2, 8});
                },
                memory + "[6, 2, 8] of type f32"});
  check_misfit({[](auto& x, auto&) {
                  x.memory_kv = Variable::constant(Tensor::zeros({5, 2, 8}, DType::bf16));
                },
                memory + "[5, 2, 8] of type bf16"});
  const std::string z = "spans z of shape [2] or [3, 2, 2]; got ";
  check_misfit({[](auto& x, auto&) { x.z = zeros({3}); }, z + "[3]"});
  check_misfit({[](auto& x, auto&) { x.z = zeros({3, 2, 1}); }, z + "[3, 2, 1]"});
  check_misfit({[](auto&, auto& o) { o.ramp = 0; }, "a ramp R of at least 1; got 0"});
  check_misfit({[](auto&, auto& o) { o.dropout.rate = 1; }, "a dropout rate in [0, 1); got 1"});
  check_misfit({[](auto&, auto& o) { o.dropout = {.rate = 0.5f, .first_sequence = 1, .batch = 2}; },
                "2 sequences, from sequence 1, within a batch of 2"});
}

}  // namespace adaspan
