// SPDX-License-Identifier: MIT
#include "adaspan/train/data/batches.h"

#include <algorithm>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

Tensor columns_of(const Tensor& ids, int64_t first, int64_t count) {
  const int64_t M = ids.shape()[0], B = ids.shape()[1];
  Tensor part({M, count}, DType::i32);
  for (int64_t t = 0; t < M; ++t) {
    std::copy_n(ids.data<int32_t>() + t * B + first, count, part.data<int32_t>() + t * count);
  }
  return part;
}

}  // namespace

TokenStream TokenStream::of(Tensor tokens, std::string name) {
  require(!tokens.empty() && tokens.type() == DType::i32,
          "[data] expected int32 tokens for {}; got {}; give ids, as int32_t", name,
          tokens.empty() ? "none" : adaspan::name(tokens.type()));
  const int64_t size = tokens.elements();
  return {.size = size,
          .read = [kept = std::make_shared<const Tensor>(std::move(tokens))](
                      int64_t begin, int64_t count,
                      int32_t* out) { std::copy_n(kept->data<int32_t>() + begin, count, out); },
          .name = std::move(name)};
}

TokenStream TokenStream::of(const Corpus& corpus, Part part) {
  const TokenFile& file = corpus.part(part);
  return {
      .size = file.size(),
      .read = [&file](int64_t begin, int64_t count, int32_t* out) { file.read(begin, count, out); },
      .name = std::string("the ") + adaspan::name(part) + " part of the corpus"};
}

BlockReader::BlockReader(TokenStream stream, int64_t B, int64_t M, uint64_t seed)
    : stream_(std::move(stream)), B_(B), M_(M), columns_(0), seed_(seed) {
  require(
      B >= 1 && M >= 1,
      "[data] expected a batch and blocks of at least 1; got {} and {}; set batch.sequences and "
      "batch.block",
      B, M);
  columns_ = stream_.size / B;
  require(columns_ >= M + 1,
          "[data] expected at least {} tokens in {} for a batch of {} and blocks of {}; got {}; "
          "take a longer text, or a smaller batch.sequences or batch.block",
          B * (M + 1), stream_.name, B, M, stream_.size);
  require(stream_.read != nullptr, "[data] expected a way to read {}; got none; set its `read`",
          stream_.name);
}

Block BlockReader::next() {
  const Timed timed("next block", 0, 12.0 * static_cast<double>(M_ * B_));
  Position at = position_;
  Block block{Tensor({M_, B_}, DType::i32), Tensor({M_, B_}, DType::i32), at.column == 0};
  if (at.column + M_ + 1 > columns_) {
    const RandomKey key{.seed = seed_, .purpose = Purpose::data_offset};
    const int64_t offsets = std::min(M_, columns_ - M_);  // from each of them a block fits
    at.column = static_cast<int64_t>(random_uniform(key, static_cast<uint64_t>(at.restarts)) *
                                     static_cast<double>(offsets));
    at.restarts += 1;
    block.starts_stream = true;
  }
  std::vector<int32_t> row(M_ + 1);
  for (int64_t b = 0; b < B_; ++b) {
    stream_.read(b * columns_ + at.column, M_ + 1, row.data());
    for (int64_t t = 0; t < M_; ++t) {
      block.inputs.data<int32_t>()[t * B_ + b] = row[t];
      block.targets.data<int32_t>()[t * B_ + b] = row[t + 1];
    }
  }
  at.column += M_;
  position_ = at;
  return block;
}

void BlockReader::seek(const Position& position) {
  require(position.column >= 0 && position.column <= columns_,
          "[data] expected a position within {} columns of {}; got {}; was the data changed?",
          columns_, stream_.name, position.column);
  constexpr int64_t kMostRestarts = int64_t{1} << 40;  // which no run reaches
  require(position.restarts >= 0 && position.restarts < kMostRestarts,
          "[data] expected a count of passes over {}; got {}; the checkpoint is damaged",
          stream_.name, position.restarts);
  position_ = position;
}

Block part_of(const Block& block, int64_t first, int64_t count) {
  return {columns_of(block.inputs, first, count), columns_of(block.targets, first, count),
          block.starts_stream};
}

}  // namespace adaspan
