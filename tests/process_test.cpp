// SPDX-License-Identifier: MIT
#include "adaspan/ops/process.h"

#include <doctest/doctest.h>

#include <thread>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/gemm.h"

namespace adaspan {
namespace {

void multiply() {
  const Tensor x = Tensor::filled({3, 3}, 1);
  Tensor y({3, 3});
  gemm(matrix(y), matrix(x), matrix(x));
}

TEST_CASE("the process has as many threads as processors and the best level, unless told") {
  set_threads(7);
  set_isa(Isa::plain);
  const Process process = open_process();
  CHECK(process.threads == default_threads().threads);
  CHECK(threads() == default_threads().threads);
  CHECK(process.why == default_threads().why);
  CHECK(process.isa == best_isa());
  CHECK(isa() == best_isa());
  CHECK(open_process({.threads = 3}).threads == 3);
  CHECK(threads() == 3);
}

TEST_CASE("threads hold for loops that any thread begins") {
  open_process({.threads = 3});
  int seen = 0;
  std::thread([&] { seen = threads(); }).join();
  CHECK(seen == 3);
}

TEST_CASE("what was chosen is said in one line") {
  CHECK(Process{.threads = 1, .why = "as told", .isa = Isa::plain}.text() ==
        "1 thread (as told), plain");
  CHECK(Process{.threads = 2, .why = "--threads", .isa = Isa::avx512}.text() ==
        "2 threads (--threads), avx512");
}

TEST_CASE("what no process can have is refused") {
  CHECK_THROWS_WITH_AS(open_process({.threads = -1}),
                       "[process] expected process.threads of at least 0; got -1; 0 stands for "
                       "OMP_NUM_THREADS, or as many as this process may use",
                       Error);
  CHECK(threads() == 3);
  if (best_isa() == Isa::amx) return;
  CHECK_THROWS_WITH_AS(
      open_process({.isa = Isa::amx}),
      doctest::Contains("[isa] expected process.isa of a level that this processor has, at most"),
      Error);
}

// The last: from the first product on the level stays.
TEST_CASE("the level is set for products too, and stays from the first of them on") {
  const Isa level = best_isa() == Isa::plain ? Isa::plain : Isa::avx2;
  CHECK(open_process({.threads = 1, .isa = level}).isa == level);
  multiply();
  CHECK_NOTHROW(open_process({.threads = 2, .isa = level}));
  if (best_isa() <= Isa::avx2) return;
  CHECK_THROWS_WITH_AS(open_process(),
                       doctest::Contains("to be set before the first product; got one before"),
                       Error);
  CHECK(isa() == level);  // a refusal changes nothing
}

}  // namespace
}  // namespace adaspan
