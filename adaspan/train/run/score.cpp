// SPDX-License-Identifier: MIT
#include "adaspan/train/run/score.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace adaspan {
namespace {

std::optional<double> perplexity_of(double nats, int64_t count) {
  if (count == 0) return {};
  return std::exp(nats / static_cast<double>(count));
}

}  // namespace

double Score::perplexity() const {
  return perplexity_of(nats, tokens).value_or(1);
}

std::optional<double> Score::perplexity_without_line_ends() const {
  if (!has_line_ends) return {};
  return perplexity_of(nats - line_end_nats, tokens - line_ends);
}

std::optional<double> Score::perplexity_per_word() const {
  return words ? perplexity_of(nats, *words) : std::nullopt;
}

std::optional<double> Score::bits_per_byte() const {
  if (!bytes || *bytes <= 0) return {};
  return nats / (std::numbers::ln2 * *bytes);
}

std::optional<double> Score::bits_per_character() const {
  if (!characters || *characters <= 0) return {};
  return nats / (std::numbers::ln2 * static_cast<double>(*characters));
}

ScoreKeeper::ScoreKeeper(const Corpus& corpus, Part part) : corpus_(corpus), part_(part) {
  const bool words = corpus.format() == TextFormat::words;
  const Vocabulary& vocabulary = corpus.vocabulary();
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const Token token = vocabulary.token(id);
    const auto size = static_cast<int64_t>(token.bytes.size());
    // A word has a space after it, or it is the last one of its line, whose end is a token.
    const bool continues = (static_cast<unsigned char>(token.bytes[0]) & 0xc0) == 0x80;
    kinds_.push_back({words && !token.end_of_line ? size + 1 : size, token.end_of_line,
                      token.end_of_line || (!words && is_space(token.bytes[0])), !continues});
  }
  sum_.has_line_ends = vocabulary.end_of_line().has_value();
}

void ScoreKeeper::add(int32_t before, int32_t id, double loss) {
  const bool words = corpus_.format() == TextFormat::words;
  const Kind& kind = kind_of(id);
  sum_.tokens += 1;
  sum_.nats += loss;
  if (kind.ends_line) {
    sum_.line_end_nats += loss;
    sum_.line_ends += 1;
  }
  words_ += !kind.is_white && (words || kind_of(before).is_white);
  bytes_ += kind.bytes;
  characters_ += kind.begins_character;
}

int64_t ScoreKeeper::bytes_of_part() const {
  const TokenFile& file = corpus_.part(part_);
  std::vector<int32_t> ids(static_cast<size_t>(std::min<int64_t>(file.size(), 1 << 16)));
  int64_t sum = 0;
  for (int64_t at = 0; at < file.size();) {
    const int64_t n = std::min(file.size() - at, static_cast<int64_t>(ids.size()));
    file.read(at, n, ids.data());
    for (int64_t i = 0; i < n; ++i) sum += kind_of(ids[static_cast<size_t>(i)]).bytes;
    at += n;
  }
  return sum;
}

Score ScoreKeeper::score(bool with_last) const {
  Score result = sum_;
  if (corpus_.reading().newline == Newline::drop) return result;
  result.words = words_;
  const std::optional<int64_t> raw = corpus_.record().bytes_of(part_);
  if (corpus_.format() == TextFormat::words) {
    // White space is no token: the scored part of the text is as large as that of its words.
    // Those that <unk> stands for are not what was scored.
    if (raw && !corpus_.record().minimum_count) {
      result.bytes = static_cast<double>(*raw) * static_cast<double>(bytes_) /
                     static_cast<double>(bytes_of_part());
    }
    return result;
  }
  const bool added =
      corpus_.format() == TextFormat::text8 || (raw && *raw < corpus_.part(part_).size());
  result.bytes = static_cast<double>(bytes_ - (with_last && added));
  result.characters = characters_ - (with_last && added);
  return result;
}

}  // namespace adaspan
