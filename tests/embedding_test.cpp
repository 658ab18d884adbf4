// SPDX-License-Identifier: MIT
#include "adaspan/ops/embedding.h"

#include <doctest/doctest.h>

#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"
#include "tests/support/gradient_check.h"
#include "tests/support/precision_check.h"

namespace adaspan {
namespace {

Tensor random_ids(Shape shape, int64_t V) {
  Tensor ids(std::move(shape), DType::i32);
  for (int64_t i = 0; i < ids.elements(); ++i) {
    const double u = random_uniform({.seed = 5}, static_cast<uint64_t>(i));
    ids.data<int32_t>()[i] = static_cast<int32_t>(u * static_cast<double>(V));
  }
  return ids;
}

void check_embedding(int64_t V, int64_t H, const Shape& shape) {
  const Tensor ids = random_ids(shape, V);
  check_op([&](Tape& tape, const Variables& x) { return embedding(tape, x[0], ids); },
           [&](const Arrays& x) {
             std::vector<int64_t> extents = shape.extents();
             extents.push_back(H);
             Array y{Shape(extents)};
             for (int64_t t = 0; t < ids.elements(); ++t) {
               for (int64_t h = 0; h < H; ++h) y[t * H + h] = x[0](ids.data<int32_t>()[t], h);
             }
             return y;
           },
           {random_tensor({V, H}, 1)});
}

}  // namespace

TEST_CASE("embedding takes rows of the table, and their gradients add up") {
  check_embedding(7, 3, {4, 5});  // 20 tokens of 7 kinds: most come more than once
  check_embedding(1, 1, {3});
  check_embedding(5, 4, {});
}

TEST_CASE("embedding of more tokens and columns than one chunk has") {
  check_embedding(11, 150, {301, 2});
}

TEST_CASE("embedding at each instruction level, and to bf16") {
  at_each_level([] { check_embedding(7, 75, {4, 5}); });
  const Tensor ids = random_ids({301, 2}, 11);
  const Tensor table = random_tensor({11, 150}, 1);
  std::vector<Tensor> inputs;
  inputs.push_back(table.clone());
  // The table keeps its f32; only y, and so its gradient, is of the type asked for.
  for (DType type : {DType::f32, DType::bf16}) {
    check_bf16([&](Tape& tape, const Variables& x) { return embedding(tape, x[0], ids, type); },
               inputs, type);
  }
  Tape tape(Tape::Mode::evaluation);
  const Variable y = embedding(tape, Variable::constant(table.clone()), ids, DType::bf16);
  for (int64_t i = 0; i < y.value().elements(); ++i) {
    const float from = table.data()[ids.data<int32_t>()[i / 150] * 150 + i % 150];
    REQUIRE(y.value().data<bf16>()[i].bits == to_bf16(from).bits);
  }
}

TEST_CASE("gradients are added to those that a table has") {
  Parameter table("table", Tensor::zeros({3, 2}));
  for (int32_t id : {2, 0}) {
    Tape tape;
    embedding(tape, table.variable(), Tensor::of({1}, std::vector<int32_t>{id}));
    tape.entries()[0].backward(Tensor::filled({1, 2}, 1));
  }
  CHECK(same_bits(table.grad(), Tensor::of({3, 2}, std::vector<float>{1, 1, 0, 0, 1, 1})));
}

TEST_CASE("any number of threads gives the same bits where many tokens share a row") {
  const Tensor ids = random_ids({12'000}, 3);
  check_threads([&](Tape& tape, const Variables& x) { return embedding(tape, x[0], ids); },
                {random_tensor({3, 65}, 1)});
}

TEST_CASE("a row that no token asks for has a gradient of zero") {
  Parameter table("table", random_tensor({3, 2}, 1));
  const Tensor ids = Tensor::of({2}, std::vector<int32_t>{2, 2});
  Tape tape;
  embedding(tape, table.variable(), ids);
  tape.entries()[0].backward(Tensor::filled({2, 2}, 1));
  CHECK(same_bits(table.grad(), Tensor::of({3, 2}, std::vector<float>{0, 0, 0, 0, 2, 2})));
}

TEST_CASE("embedding keeps its own copy of the ids") {
  Parameter table("table", random_tensor({3, 1}, 1));
  Tensor ids = Tensor::of({1}, std::vector<int32_t>{2});
  Tape tape;
  embedding(tape, table.variable(), ids);
  ids.data<int32_t>()[0] = 0;
  tape.entries()[0].backward(Tensor::filled({1, 1}, 1));
  CHECK(same_bits(table.grad(), Tensor::of({3, 1}, std::vector<float>{0, 0, 1})));
}

TEST_CASE("an id outside of the table, or a table of another rank, throws") {
  Tape tape;
  const Variable table = Variable::constant(Tensor::zeros({3, 2}));
  for (int32_t wrong : {-1, 3}) {
    const Tensor ids = Tensor::of({2}, std::vector<int32_t>{0, wrong});
    const std::string text = "[embedding] expected ids in [0, 3); got " + std::to_string(wrong) +
                             "; is the corpus of another vocabulary than the model?";
    CHECK_THROWS_WITH_AS(embedding(tape, table, ids), text.c_str(), Error);
  }
  const Variable vector = Variable::constant(Tensor::zeros({3}));
  CHECK_THROWS_WITH_AS(embedding(tape, vector, random_ids({2}, 3)),
                       "[embedding] expected a table [V,H]; got shape [3]", Error);
}

}  // namespace adaspan
