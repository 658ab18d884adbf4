// SPDX-License-Identifier: MIT
#include "adaspan/train/data/batches.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Ids = std::vector<int32_t>;

/// 0 1 2 ...: each token tells where it stands.
TokenStream counting(int64_t size) {
  Tensor ids({size}, DType::i32);
  for (int64_t i = 0; i < size; ++i) ids.data<int32_t>()[i] = static_cast<int32_t>(i);
  return TokenStream::of(std::move(ids), "the counting stream");
}

/// Sequence b of a block's tensor [M,B].
Ids row(const Tensor& ids, int64_t b) {
  Ids result;
  for (int64_t t = 0; t < ids.shape()[0]; ++t) {
    result.push_back(ids.data<int32_t>()[t * ids.shape()[1] + b]);
  }
  return result;
}

/// The column that a block begins at, in rows of counting tokens.
int64_t first_column(const Block& block) {
  return block.inputs.data<int32_t>()[0];
}

TEST_CASE("rows are contiguous pieces of the stream and the remainder is dropped") {
  BlockReader reader(counting(23), /*B=*/3, /*M=*/2, 1);  // 3 rows of 7; 21 and 22 are left
  const Block first = reader.next();
  CHECK(first.inputs.shape() == Shape{2, 3});
  CHECK(row(first.inputs, 0) == Ids{0, 1});
  CHECK(row(first.inputs, 1) == Ids{7, 8});
  CHECK(row(first.inputs, 2) == Ids{14, 15});
  const Block second = reader.next();
  CHECK(row(second.inputs, 0) == Ids{2, 3});
  const Block third = reader.next();
  CHECK(row(third.targets, 2) == Ids{19, 20});
}

TEST_CASE("targets are the inputs' next tokens, also across the end of a block") {
  BlockReader reader(counting(18), 2, 4, 1);
  const Block first = reader.next(), second = reader.next();
  CHECK(row(first.inputs, 1) == Ids{9, 10, 11, 12});
  CHECK(row(first.targets, 1) == Ids{10, 11, 12, 13});
  CHECK(row(second.inputs, 1) == Ids{13, 14, 15, 16});
  CHECK(row(second.targets, 1) == Ids{14, 15, 16, 17});
}

TEST_CASE("only the first block and those after a restart start the stream") {
  BlockReader reader(counting(9), 1, 4, 1);  // two blocks a pass
  CHECK(reader.next().starts_stream);
  CHECK_FALSE(reader.next().starts_stream);
  CHECK(reader.next().starts_stream);
  CHECK(reader.position().restarts == 1);
}

TEST_CASE("a pass ends when fewer than M+1 columns are left") {
  for (const auto& [size, blocks] : {std::pair{9, 2}, {12, 2}, {13, 3}, {5, 1}}) {
    const int columns = size;  // clang 14 lets no lambda, as CAPTURE has, see a structured binding
    CAPTURE(columns);
    BlockReader reader(counting(columns), 1, 4, 1);
    CHECK(reader.blocks_per_pass() == blocks);
    for (int i = 0; i < blocks; ++i) CHECK(first_column(reader.next()) == 4 * i);
    CHECK(reader.position().restarts == 0);
    reader.next();
    CHECK(reader.position().restarts == 1);
  }
}

TEST_CASE("the stream starts again at columns below M, all of them in turn") {
  BlockReader reader(counting(20), 1, 4, 1);
  std::set<int64_t> columns;
  for (int i = 0; i < 400; ++i) {
    const Block block = reader.next();
    if (!block.starts_stream) continue;
    columns.insert(first_column(block));
    CHECK(row(block.targets, 0).back() == first_column(block) + 4);
  }
  CHECK(columns == std::set<int64_t>{0, 1, 2, 3});
}

TEST_CASE("a stream of one block alone starts again where the block fits") {
  BlockReader reader(counting(5), 1, 4, 1);
  for (int i = 0; i < 50; ++i) {
    const Block block = reader.next();
    CHECK(block.starts_stream);
    CHECK(row(block.targets, 0) == Ids{1, 2, 3, 4});
  }
}

TEST_CASE("columns of restarts are set by the seed") {
  const auto columns = [](uint64_t seed) {
    BlockReader reader(counting(65), 1, 32, seed);
    std::vector<int64_t> result;
    for (int i = 0; i < 40; ++i) result.push_back(first_column(reader.next()));
    return result;
  };
  CHECK(columns(1) == columns(1));
  CHECK(columns(1) != columns(2));
}

TEST_CASE("a reader that seeks goes on where the other one stood, restarts and all") {
  BlockReader reader(counting(42), 2, 4, 7);
  for (int i = 0; i < 13; ++i) reader.next();
  BlockReader other(counting(42), 2, 4, 7);
  other.seek(reader.position());
  CHECK(other.position() == reader.position());
  for (int i = 0; i < 13; ++i) {
    const Block a = reader.next(), b = other.next();
    CHECK(row(a.inputs, 1) == row(b.inputs, 1));
    CHECK(a.starts_stream == b.starts_stream);
  }
}

TEST_CASE("a position outside the stream is refused") {
  BlockReader reader(counting(21), 2, 4, 1);  // rows of 10
  for (const BlockReader::Position& wrong :
       {BlockReader::Position{11, 0}, BlockReader::Position{-1, 0}}) {
    CHECK_THROWS_WITH_AS(reader.seek(wrong),
                         Contains("[data] expected a position within 10 columns of the counting"),
                         Error);
  }
  CHECK_THROWS_WITH_AS(reader.seek({0, -1}),
                       Contains("[data] expected a count of passes over the counting stream"),
                       Error);
  CHECK(reader.position() == BlockReader::Position{});
  CHECK_NOTHROW(reader.seek({10, 3}));
}

TEST_CASE("a reader stays where it is when its stream fails") {
  bool fails = false;
  TokenStream stream = counting(21);
  stream.read = [&fails, read = stream.read](int64_t begin, int64_t count, int32_t* out) {
    if (fails && begin >= 10) throw DataLost("gone");  // the second row
    read(begin, count, out);
  };
  BlockReader reader(stream, 2, 4, 1), other(counting(21), 2, 4, 1);
  for (int i = 0; i < 5; ++i) {  // over an end of the stream
    fails = true;
    CHECK_THROWS_AS(reader.next(), DataLost);
    fails = false;
    CHECK(reader.position() == other.position());
    CHECK(row(reader.next().inputs, 1) == row(other.next().inputs, 1));
  }
  CHECK(reader.position().restarts > 0);
}

TEST_CASE("a stream that cannot be read, or of other numbers than int32, is refused") {
  const TokenStream stream{.size = 20, .read = {}, .name = "mine"};
  CHECK_THROWS_WITH_AS(BlockReader(stream, 4, 4, 1),
                       Contains("[data] expected a way to read mine; got none"), Error);
  CHECK_THROWS_WITH_AS(TokenStream::of(Tensor({20}), "mine"),
                       Contains("[data] expected int32 tokens for mine; got "), Error);
  CHECK_THROWS_WITH_AS(TokenStream::of(Tensor(), "mine"), Contains("mine; got none"), Error);
  for (const auto& [B, M] : {std::pair{0, 4}, {4, 0}, {-1, 4}}) {
    CHECK_THROWS_WITH_AS(BlockReader(counting(20), B, M, 1), Contains("of at least 1; got "),
                         Error);
  }
}

TEST_CASE("a part of a block has its sequences, targets and start") {
  BlockReader reader(counting(20), 4, 2, 1);
  const Block whole = reader.next();
  const Block part = part_of(whole, 1, 2);
  CHECK(part.inputs.shape() == Shape{2, 2});
  CHECK(part.starts_stream);
  for (int64_t b = 0; b < 2; ++b) {
    CHECK(row(part.inputs, b) == row(whole.inputs, b + 1));
    CHECK(row(part.targets, b) == row(whole.targets, b + 1));
  }
  CHECK_FALSE(part_of(reader.next(), 0, 1).starts_stream);
}

TEST_CASE("a stream too short for one block is refused with the tokens that are needed") {
  CHECK_NOTHROW(BlockReader(counting(20), 4, 4, 1));
  CHECK_THROWS_WITH_AS(BlockReader(counting(19), 4, 4, 1),
                       Contains("[data] expected at least 20 tokens in the counting stream for a "
                                "batch of 4 and blocks of 4; got 19"),
                       Error);
  CHECK_THROWS_WITH_AS(BlockReader(counting(0), 1, 1, 1), Contains("[data] expected at least 2 "),
                       Error);
}

}  // namespace
}  // namespace adaspan
