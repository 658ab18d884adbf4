// SPDX-License-Identifier: MIT
#include "adaspan/train/data/token_counts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace adaspan {
namespace {

/// Counts the tokens of one part after the other.
class Counter {
 public:
  explicit Counter(const Reading& reading) : reading_(reading), format_(reading.format) {
    if (format_ == TextFormat::bytes) counts_.seen = Vocabulary::of_bytes();
    counts_.in_training.resize(static_cast<size_t>(counts_.seen.size()));
    counts_.in_all = counts_.in_training;
  }

  void count(const PartOfText& text, Part part) {
    part_ = static_cast<size_t>(part);
    leading_spaces_ = 0;
    at_start_ = true;
    char last = 0;
    WholeWords words;
    const auto take = [&](std::string_view piece) { add_all(piece); };
    text.read(reading_, [&](std::string_view block) {
      last = block.back();
      if (format_ == TextFormat::words)
        words.add(block, take);
      else
        add_all(block);
    });
    words.finish(take);
    if (leading_spaces_ > 0) add({" "}, leading_spaces_);
    if (ends_with_added_line({&last, 1}, reading_)) add(kEndOfLine, 1);
    if (part == Part::train) counts_.of_training = counts_.seen.size();
  }

  TokenCounts take() { return std::move(counts_); }

 private:
  void add_all(std::string_view piece) {
    if (format_ == TextFormat::text8 && at_start_) {
      // The published text8 models never saw the leading space: id 0 is the first letter.
      const size_t spaces = std::min(piece.find_first_not_of(' '), piece.size());
      leading_spaces_ += static_cast<int64_t>(spaces);
      piece.remove_prefix(spaces);
      at_start_ = piece.empty();
    }
    for_each_token(piece, format_, [&](const Token& token) { add(token, 1); });
  }

  void add(const Token& token, int64_t times) {
    const auto id = static_cast<size_t>(counts_.seen.add(token));
    if (id == counts_.in_all.size()) {
      counts_.in_training.push_back(0);
      counts_.in_all.push_back(0);
    }
    if (part_ == 0) counts_.in_training[id] += times;
    counts_.in_all[id] += times;
    counts_.tokens[part_] += times;
  }

  Reading reading_;
  TextFormat format_;
  TokenCounts counts_;
  size_t part_ = 0;
  int64_t leading_spaces_ = 0;
  bool at_start_ = true;
};

/// The same tokens with <unk> in the place of the rarer words.
TokenCounts without_rare_words(const TokenCounts& all, int64_t minimum_count) {
  TokenCounts kept;
  kept.tokens = all.tokens;
  for (int32_t id = 0; id < all.seen.size(); ++id) {
    const int64_t times = all.in_training[static_cast<size_t>(id)];
    const Token token = all.seen.token(id);
    const bool rare = times < minimum_count && !token.end_of_line;
    const auto to = static_cast<size_t>(kept.seen.add(rare ? kUnknown : token));
    if (to == kept.in_all.size()) {
      kept.in_training.push_back(0);
      kept.in_all.push_back(0);
    }
    kept.in_training[to] += times;
    kept.in_all[to] += all.in_all[static_cast<size_t>(id)];
    if (id < all.of_training) kept.of_training = kept.seen.size();
  }
  kept.seen.add_unknown();
  kept.in_training.resize(static_cast<size_t>(kept.seen.size()));
  kept.in_all.resize(kept.in_training.size());
  return kept;
}

}  // namespace

TokenCounts count_tokens(const PartsOfText& parts, const Reading& reading) {
  Counter counter(reading);
  for (const Part part : kParts) counter.count(parts[static_cast<size_t>(part)], part);
  return counter.take();
}

Vocabulary number_tokens(TokenCounts counts, VocabularyOrder order,
                         const std::optional<int64_t>& minimum_count) {
  if (minimum_count) counts = without_rare_words(counts, *minimum_count);
  if (order == VocabularyOrder::first_seen) return std::move(counts.seen);
  std::vector<int32_t> ids(static_cast<size_t>(counts.seen.size()));
  std::iota(ids.begin(), ids.end(), 0);
  if (order == VocabularyOrder::falling_count_of_all) {
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
      return counts.in_all[static_cast<size_t>(a)] > counts.in_all[static_cast<size_t>(b)];
    });
  } else {
    std::sort(ids.begin(), ids.begin() + counts.of_training, [&](int32_t a, int32_t b) {
      const int64_t count_a = counts.in_training[static_cast<size_t>(a)];
      const int64_t count_b = counts.in_training[static_cast<size_t>(b)];
      return count_a != count_b ? count_a > count_b : a > b;
    });
  }
  Vocabulary sorted;
  for (const int32_t id : ids) sorted.add(counts.seen.token(id));
  if (minimum_count) sorted.add_unknown();
  return sorted;
}

}  // namespace adaspan
