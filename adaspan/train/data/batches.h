// SPDX-License-Identifier: MIT
// From one long stream of tokens to blocks. The stream is cut into B contiguous rows (the remainder
// is dropped); each block takes the next M columns, so that a row's next block goes on where its
// last one ended and the memory fits:
//
//   row 0   | block 0 | block 1 | block 2 | ...
//   row 1   | block 0 | block 1 | block 2 | ...
#pragma once

#include <functional>
#include <string>

#include <adaspan/core/random.h>
#include <adaspan/core/tensor.h>
#include <adaspan/train/data/corpus.h>

namespace adaspan {

/// A stream of tokens, wherever it is kept.
struct TokenStream {
  int64_t size = 0;
  std::function<void(int64_t begin, int64_t count, int32_t* out)> read;
  std::string name;  ///< for messages: "the training part of data/gcide"

  /// Throws Error unless the tokens are int32.
  static TokenStream of(Tensor tokens, std::string name);
  /// A part of a corpus, which must stay open.
  static TokenStream of(const Corpus& corpus, Part part);
};

/// One block; time first, like all activations.
struct Block {
  Tensor inputs;       ///< [M,B] int32
  Tensor targets;      ///< [M,B] int32: the inputs' next tokens
  bool starts_stream;  ///< the memory of earlier blocks does not belong to this one
};

class BlockReader {
 public:
  /// Where the next block begins; with it a reader goes on where another one stopped.
  struct Position {
    int64_t column = 0;
    int64_t restarts = 0;  ///< times that the end was reached
    bool operator==(const Position&) const = default;
  };

  /// Throws Error when the stream has fewer than B (M+1) tokens or no way to read them, or when B
  /// or M is below 1.
  BlockReader(TokenStream stream, int64_t B, int64_t M, uint64_t seed);

  /// The next block. When fewer than M+1 columns are left the stream starts again, from a random
  /// column below M (paper's code: so that blocks are cut at other places the next time). What the
  /// stream throws passes through, and the position stays.
  Block next();

  /// Tokens of the stream.
  int64_t size() const { return stream_.size; }
  /// Blocks from the start to the end of the stream without a restart.
  int64_t blocks_per_pass() const { return (columns_ - 1) / M_; }

  const Position& position() const { return position_; }
  /// Throws Error when the position is not one of this stream.
  void seek(const Position& position);

 private:
  TokenStream stream_;
  int64_t B_, M_;
  int64_t columns_;
  uint64_t seed_;
  Position position_;
};

/// Sequences [first, first+count) of a block.
Block part_of(const Block& block, int64_t first, int64_t count);

}  // namespace adaspan
