// SPDX-License-Identifier: MIT
#include "adaspan/train/data/cluster_shares.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

TEST_CASE("a cluster's share is that of its tokens among all of a text") {
  const TemporaryFolder folder;
  std::vector<int32_t> ids;
  for (int i = 0; i < 100'000; ++i) ids.push_back(i % 10);  // more than are read at once
  write_token_file(folder / "ids.tok", ids, 10);
  const TokenFile text(folder / "ids.tok", 10);
  ModelConfig c{.vocabulary = 10, .adaptive_io = {.on = true, .cutoffs = {2, 7}}};
  CHECK(cluster_shares(c, text) == std::vector<double>{0.2, 0.5, 0.3});
  c.adaptive_io.on = false;
  CHECK(cluster_shares(c, text).empty());
}

TEST_CASE("a text without tokens has no shares") {
  const TemporaryFolder folder;
  write_token_file(folder / "ids.tok", std::vector<int32_t>{}, 10);
  const ModelConfig c{.vocabulary = 10, .adaptive_io = {.on = true, .cutoffs = {2, 7}}};
  CHECK(cluster_shares(c, TokenFile(folder / "ids.tok", 10)).empty());
}

}  // namespace
}  // namespace adaspan
