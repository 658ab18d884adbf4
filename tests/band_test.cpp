// SPDX-License-Identifier: MIT
#include "adaspan/ops/band.h"

#include <doctest/doctest.h>

#include "adaspan/core/error.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

Variable scores(Tape& tape, const Variables& x) {
  return band_scores(tape, x[0], x[1]);
}
Variable mix(Tape& tape, const Variables& x) {
  return band_mix(tape, x[0], x[1]);
}

/// s(t, b, j) = sum over d of q(t, b, d) k(t + j, b, d)
Array scores_of(const Arrays& x) {
  const Array &q = x[0], &k = x[1];
  const int64_t M = q.shape()[0], B = q.shape()[1], D = q.shape()[2], E = k.shape()[0] - M;
  Array s({M, B, E});
  for (int64_t t = 0; t < M; ++t) {
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t j = 0; j < E; ++j) {
        for (int64_t d = 0; d < D; ++d) s(t, b, j) += q(t, b, d) * k(t + j, b, d);
      }
    }
  }
  return s;
}

/// o(t, b, d) = sum over j of a(t, b, j) v(t + j, b, d)
Array mix_of(const Arrays& x) {
  const Array &a = x[0], &v = x[1];
  const int64_t M = a.shape()[0], B = a.shape()[1], E = a.shape()[2], D = v.shape()[2];
  Array o({M, B, D});
  for (int64_t t = 0; t < M; ++t) {
    for (int64_t b = 0; b < B; ++b) {
      for (int64_t j = 0; j < E; ++j) {
        for (int64_t d = 0; d < D; ++d) o(t, b, d) += a(t, b, j) * v(t + j, b, d);
      }
    }
  }
  return o;
}

Variable zeros(Shape shape) {
  return Variable::constant(Tensor::zeros(std::move(shape)));
}

}  // namespace

TEST_CASE("band_scores are products of each query with the E keys from its own step on") {
  check_op(scores, scores_of, {random_tensor({5, 3, 7}, 1), random_tensor({9, 3, 7}, 2)});
  check_op(scores, scores_of, {random_tensor({5, 1, 1}, 1), random_tensor({6, 1, 1}, 2)});
  check_op(scores, scores_of, {random_tensor({1, 2, 33}, 1), random_tensor({13, 2, 33}, 2)});
}

TEST_CASE("band_mix is each query's weighted sum of the E values from its own step on") {
  check_op(mix, mix_of, {random_tensor({5, 3, 4}, 1), random_tensor({9, 3, 7}, 2)});
  check_op(mix, mix_of, {random_tensor({5, 1, 1}, 1), random_tensor({6, 1, 1}, 2)});
  check_op(mix, mix_of, {random_tensor({1, 2, 12}, 1), random_tensor({13, 2, 33}, 2)});
}

TEST_CASE("long bands over several sequences") {
  check_op(scores, scores_of, {random_tensor({150, 4, 8}, 1), random_tensor({220, 4, 8}, 2)},
           {.samples = 6});
  check_op(mix, mix_of, {random_tensor({150, 4, 70}, 1), random_tensor({220, 4, 8}, 2)},
           {.samples = 6});
}

TEST_CASE("any number of threads gives the same bits of keys that many queries share") {
  check_threads(scores, {random_tensor({900, 3, 24}, 1), random_tensor({1000, 3, 24}, 2)});
  check_threads(mix, {random_tensor({900, 3, 100}, 1), random_tensor({1000, 3, 24}, 2)});
}

TEST_CASE("queries and keys that do not fit throw") {
  Tape tape;
  for (const auto& [q, k] :
       std::vector<std::pair<Shape, Shape>>{{{4, 2, 3}, {4, 2, 3}},  // E = 0
                                            {{4, 2, 3}, {3, 2, 3}},  // E < 0
                                            {{4, 2, 3}, {6, 1, 3}},  // sequences
                                            {{4, 2, 3}, {6, 2, 4}},  // widths
                                            {{4, 2, 3}, {6, 2}},     // rank
                                            {{4, 6}, {6, 6}}}) {
    const std::string text =
        "[band_scores] expected q [M,B,D] and k [E+M,B,D] with E of at least 1; got " + q.text() +
        " and " + k.text();
    CHECK_THROWS_WITH_AS(band_scores(tape, zeros(q), zeros(k)), text.c_str(), Error);
  }
}

TEST_CASE("weights and values that do not fit throw") {
  Tape tape;
  for (const auto& [a, v] :
       std::vector<std::pair<Shape, Shape>>{{{4, 2, 3}, {6, 2, 5}},  // not E + M steps
                                            {{4, 2, 3}, {8, 2, 5}},  // not E + M steps
                                            {{4, 2, 3}, {7, 1, 5}},  // sequences
                                            {{4, 2, 3}, {7, 2}},     // rank
                                            {{4, 3}, {7, 3}}}) {
    const std::string text =
        "[band_mix] expected a [M,B,E] and v [E+M,B,D]; got " + a.text() + " and " + v.text();
    CHECK_THROWS_WITH_AS(band_mix(tape, zeros(a), zeros(v)), text.c_str(), Error);
  }
}

}  // namespace adaspan
