// SPDX-License-Identifier: MIT
// What the losses of a part's tokens add up to, per whatever a literature counts: tokens, tokens
// that end no line, words, bytes. With T the sum of -log p over the scored tokens, in nats:
//   perplexity                    e^(T / tokens), ends of lines counted
//   perplexity without them       the same over the other tokens alone
//   perplexity per word           e^(T / words), whatever the tokens are
//   bits per byte                 T / (ln 2 * bytes of the text they were)
//   bits per character            T / (ln 2 * its Unicode characters), which are as many as its
//                                 bytes that continue no UTF-8 character
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <adaspan/train/data/corpus.h>

namespace adaspan {

struct Score {
  double nats = 0;            ///< T
  double line_end_nats = 0;   ///< of it, what ends of lines cost
  int64_t tokens = 0;         ///< scored
  int64_t line_ends = 0;      ///< of them, tokens that end a line
  bool has_line_ends = true;  ///< whether the vocabulary has such a token
  /// Scored, by the first byte of each. None where newlines were dropped: words ran together.
  std::optional<int64_t> words;
  /// Of the text that the scored tokens were. None where newlines were dropped, or where the corpus
  /// is of words and was prepared from one text before its parts' bytes were kept.
  std::optional<double> bytes;
  /// None where newlines were dropped, or where tokens are words.
  std::optional<int64_t> characters;

  double perplexity() const;
  /// None where all tokens end lines, or the vocabulary has no such token.
  std::optional<double> perplexity_without_line_ends() const;
  std::optional<double> perplexity_per_word() const;
  std::optional<double> bits_per_byte() const;
  std::optional<double> bits_per_character() const;
};

/// Adds up the losses of one part of a corpus, which must stay open.
class ScoreKeeper {
 public:
  ScoreKeeper(const Corpus& corpus, Part part);

  /// The loss of a token `id` that follows `before`.
  void add(int32_t before, int32_t id, double loss);
  /// `with_last`: whether the last token of the part was scored. An end of a line that was added
  /// after the text is no byte of it.
  Score score(bool with_last) const;

 private:
  struct Kind {
    int64_t bytes;
    bool ends_line, is_white, begins_character;
  };
  const Kind& kind_of(int32_t id) const { return kinds_[static_cast<size_t>(id)]; }
  int64_t bytes_of_part() const;

  const Corpus& corpus_;
  Part part_;
  std::vector<Kind> kinds_;  // of each id
  Score sum_;
  int64_t words_ = 0, bytes_ = 0, characters_ = 0;
};

}  // namespace adaspan
