// SPDX-License-Identifier: MIT
#include "adaspan/train/run/score_text.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

/// Which ids of a text are scored: those that are known and have one before them.
class Scored {
 public:
  Scored(const LinedText& text, const Vocabulary& vocabulary, bool independent)
      : text_(text), unknown_(vocabulary.unknown()), independent_(independent) {}

  bool operator()(const TextLine& line, int64_t i) const {
    return i > first_input(line) && known(i);
  }
  /// Of the line's own ids, those that would be but for a context.
  int64_t without_context(const TextLine& line) const {
    if (text_.line_end_before || first_input(line) != line.begin || line.begin == line.end)
      return 0;
    return known(line.begin);
  }

 private:
  bool known(int64_t i) const { return text_.ids[static_cast<size_t>(i)] != unknown_; }
  int64_t first_input(const TextLine& line) const { return independent_ ? line.begin : 0; }

  const LinedText& text_;
  std::optional<int32_t> unknown_;
  bool independent_;
};

TokenStream stream_of(const LinedText& text, const std::string& name) {
  return {.size = static_cast<int64_t>(text.ids.size()),
          .read = [&ids = text.ids](int64_t begin, int64_t count,
                                    int32_t* out) { std::copy_n(ids.begin() + begin, count, out); },
          .name = name};
}

/// Lines that are read side by side, in blocks of M.
struct Group {
  std::vector<TextRow> rows;
  int64_t M;
};

/// Rows of lines by length, so that few are filled up; B of them where they are longer than M, and
/// of shorter ones as many as have about as many tokens in all, unless B is `fixed`.
std::vector<Group> groups_of(const std::vector<TextRow>& sorted, int64_t B, int64_t M, bool fixed) {
  std::vector<Group> groups;
  for (size_t begin = 0; begin < sorted.size();) {
    const auto count_for = [&](size_t end) {  // rows that go together when the last one is end-1
      const int64_t length = std::min(M, sorted[end - 1].inputs());
      return fixed ? B : std::max<int64_t>(1, B * M / length);
    };
    size_t end = begin + 1;
    while (end < sorted.size() && static_cast<int64_t>(end + 1 - begin) <= count_for(end + 1))
      ++end;
    const auto rows = std::span(sorted).subspan(begin, end - begin);
    groups.push_back({{rows.begin(), rows.end()}, std::min(M, rows.back().inputs())});
    begin = end;
  }
  return groups;
}

MemoryNeed need_of(const Transformer& model, const std::vector<Group>& groups) {
  MemoryNeed most;
  for (const Group& group : groups) {
    const auto B = static_cast<int64_t>(group.rows.size());
    const MemoryNeed need =
        evaluation_need(model.config(), B, group.M, B * group.rows.back().inputs(), model.spans());
    if (need.total() > most.total()) most = need;
  }
  return most;
}

/// The losses of all ids but those that begin a line, each line from empty memory.
EvaluationPlan score_lines(const LoadedModel& loaded, const LinedText& text,
                           const TokenStream& stream, const EvaluationShape& given,
                           const ScoredTokenVisitor& visit) {
  const Transformer& model = *loaded.model;
  std::vector<TextRow> rows;
  for (const TextLine& line : text.lines) {
    if (line.end - line.begin < 2) continue;
    rows.push_back({.begin = line.begin, .first = line.begin + 1, .end = line.end});
  }
  std::ranges::stable_sort(rows, {}, &TextRow::inputs);
  const auto groups = [&](const EvaluationPlan& plan) {
    return groups_of(rows, plan.B, plan.M, given.rows.has_value());
  };
  const BatchConfig& batch = loaded.header.config.batch;
  EvaluationPlan plan;
  plan.B = given.rows.value_or(batch.sequences / batch.parts());
  plan.M = given.block.value_or(batch.block);
  plan = fitting(plan, batch.block, given,
                 [&](const EvaluationPlan& some) { return need_of(model, groups(some)); });
  for (const Group& group : groups(plan)) {
    evaluate_rows(model, stream, group.rows, group.M, visit);
  }
  return plan;
}

void add(LineScore& sum, const LineScore& line) {
  sum.bytes += line.bytes;
  sum.scored_bytes += line.scored_bytes;
  sum.tokens += line.tokens;
  sum.unknown += line.unknown;
  sum.nats += line.nats;
}

}  // namespace

std::optional<double> LineScore::bits_per_byte() const {
  if (scored_bytes == 0) return {};
  return nats / (std::numbers::ln2 * static_cast<double>(scored_bytes));
}

TextScore score_text(const LoadedModel& loaded, const Corpus& corpus, std::string_view text,
                     const std::string& name, const ScoreTextOptions& options) {
  const Reading reading = corpus.reading();
  TextScore result;
  result.text = encode_lines(text, corpus.vocabulary(), reading, options.independent);
  const LinedText& lined = result.text;
  const Scored scored(lined, corpus.vocabulary(), options.independent);

  for (const TextLine& line : lined.lines) {
    LineScore& score = result.lines.emplace_back();
    score.bytes = static_cast<int64_t>(line.text.size());
    score.unknown = line.unknown;
    result.not_scored += scored.without_context(line);
    for (int64_t i = line.begin; i < line.end; ++i) {
      if (!scored(line, i)) continue;
      score.tokens += 1;
      if (reading.newline == Newline::keep)
        score.scored_bytes += lined.bytes[static_cast<size_t>(i)];
    }
    add(result.whole, score);
  }
  require(result.whole.tokens > 0,
          "[score] expected a text with a token to score: one of the {} that the corpus has, after "
          "another one; got none in {} ({} bytes); give a longer text, or one like the corpus",
          corpus.vocabulary().size(), name, text.size());

  const TokenStream stream = stream_of(lined, name);
  std::vector<float> losses(lined.ids.size(), 0);
  const auto visit = [&](const ScoredToken& token) {
    losses[static_cast<size_t>(token.position)] = token.loss;
  };
  if (options.independent) {
    result.plan = score_lines(loaded, lined, stream, options.shape, visit);
  } else {
    result.plan = plan_exact(*loaded.model, loaded.header.config.batch, stream, options.shape);
    evaluate_exactly(*loaded.model, stream, result.plan, visit);
  }
  for (size_t l = 0; l < lined.lines.size(); ++l) {
    const TextLine& line = lined.lines[l];
    for (int64_t i = line.begin; i < line.end; ++i) {
      if (scored(line, i)) result.lines[l].nats += losses[static_cast<size_t>(i)];
    }
    result.whole.nats += result.lines[l].nats;
  }
  require(std::isfinite(result.whole.nats),
          "[score] expected a finite loss on {}; got {}; the weights are of a run that has "
          "diverged: take an older checkpoint",
          name, std::abs(result.whole.nats));
  return result;
}

}  // namespace adaspan
