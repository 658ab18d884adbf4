// SPDX-License-Identifier: MIT
#include "app/spans_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/train/data/utf8.h"
#include "app/output.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kColumns = 72;  // of text in a line; before it stands its place
constexpr size_t kLines = 20;     // of text
constexpr size_t kLast = 12;      // characters of which is told what they attend to
constexpr size_t kTold = 3;       // of what each attends to

constexpr const char* kSpace = "\u2423";
constexpr const char* kBars[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                 "\u2585", "\u2586", "\u2587", "\u2588"};

std::string repeated(const std::string& text, int64_t times) {
  std::string all;
  for (int64_t i = 0; i < times; ++i) all += text;
  return all;
}

/// The text in lines, each with a line below it of bars as high as the spans.
std::string spans_below_text(const TextReading& reading) {
  double low = reading.span_of(reading.cells[0]), high = low;
  for (const TextCell& cell : reading.cells) {
    low = std::min(low, reading.span_of(cell));
    high = std::max(high, reading.span_of(cell));
  }
  std::string out = fmt::format(
      "How far back all heads look, on average, at each {} (z, in steps;\n"
      "{} {:.1f} to {} {:.1f}):\n",
      reading.unit(), kBars[0], low, kBars[7], high);
  size_t next = 0;
  for (size_t line = 0; line < kLines && next < reading.cells.size(); ++line) {
    std::string text, bars;
    const int64_t place = reading.cells[next].first;
    for (int64_t used = 0; next < reading.cells.size(); ++next) {
      const TextCell& cell = reading.cells[next];
      used += cell.columns + reading.words;
      if (used > kColumns && !text.empty()) break;
      const double share = high > low ? (reading.span_of(cell) - low) / (high - low) : 0;
      text += cell.shown + (reading.words ? " " : "");
      bars += repeated(kBars[std::min(7, static_cast<int>(share * 8))], cell.columns) +
              (reading.words ? " " : "");
    }
    out += fmt::format("{:>6} {}\n       {}\n", place, text, bars);
  }
  if (next < reading.cells.size()) {
    out += fmt::format("       ... and {} more; --html and --json have all\n",
                       with_commas(static_cast<int64_t>(reading.cells.size() - next)));
  }
  return out + "\n";
}

std::string table_of_heads(const TextReading& reading) {
  const HeadChoice& chosen = reading.attention.head;
  std::string out = fmt::format("Mean z of each head, in steps (at most {}; * the one below):\n",
                                reading.model.span_limit);
  const auto means = reading.spans.mean_of_heads();
  constexpr size_t kAcross = 8;
  for (size_t begin = 0; begin < means[0].size(); begin += kAcross) {
    const size_t end = std::min(means[0].size(), begin + kAcross);
    out += "  layer";
    for (size_t h = begin; h < end; ++h) out += fmt::format("{:>8}", fmt::format("head {}", h));
    out += "\n";
    for (size_t l = 0; l < means.size(); ++l) {
      out += fmt::format("  {:>5}", l);
      for (size_t h = begin; h < end; ++h) {
        const bool marked =
            l == static_cast<size_t>(chosen.layer) && h == static_cast<size_t>(chosen.head);
        out += fmt::format("{:>8}", fmt::format("{}{:.1f}", marked ? "*" : "", means[l][h]));
      }
      out += "\n";
    }
  }
  return out + "\n";
}

std::string weights_over_distance(const TextReading& reading) {
  const AttentionOverText& a = reading.attention;
  std::string out =
      fmt::format("Where layer {}, head {} looks (share of its weight, by distance):\n",
                  a.head.layer, a.head.head);
  std::vector<std::pair<std::string, double>> rows;
  for (const DistanceShare& share : shares_by_distance(a)) {
    rows.emplace_back(share.from == share.to ? fmt::format("{}", share.from)
                                             : fmt::format("{}-{}", share.from, share.to),
                      share.weight);
  }
  if (reading.model.persistent > 0) rows.emplace_back("persistent vectors", a.persistent);
  rows.emplace_back("before the text", a.before_start);
  double most = 0;
  for (const auto& row : rows) most = std::max(most, row.second);
  for (const auto& [name, weight] : rows) {
    const double bar = most > 0 ? 45 * weight / most : 0;
    out += fmt::format("  {:>18} {:>6.2f}%  {}\n", name, 100 * weight,
                       std::string(static_cast<size_t>(std::lround(bar)), '#'));
  }
  return out + "\n";
}

/// As it is among others on a line: a long word is cut.
std::string alone(const TextCell& cell) {
  constexpr int64_t kMost = 12;
  if (cell.columns <= kMost) return cell.text == " " ? kSpace : cell.shown;
  std::string begun;
  for (std::string_view rest = cell.shown; static_cast<int64_t>(begun.size()) < kMost;) {
    const size_t bytes = first_character(rest).bytes;
    begun += rest.substr(0, bytes);
    rest.remove_prefix(bytes);
  }
  return begun + "\u2026";
}

std::string what_the_last_attend_to(const TextReading& reading) {
  const size_t count = std::min(kLast, reading.cells.size());
  std::string out = fmt::format(
      "What its last {}s attend to most (how far back, with what weight):\n", reading.unit());
  for (size_t i = reading.cells.size() - count; i < reading.cells.size(); ++i) {
    const TextCell& cell = reading.cells[i];
    const int64_t token = cell.first + cell.tokens - 1;
    const std::vector<Attended>& strongest = reading.attended_by(cell);
    out += fmt::format("{:>8} {}", token, alone(cell));
    for (size_t n = 0; n < std::min(kTold, strongest.size()); ++n) {
      const TextCell& seen = reading.cells[reading.cell_at(strongest[n].token)];
      out += fmt::format("   {:>5} {} {:>4.1f}%", strongest[n].token - token, alone(seen),
                         100 * strongest[n].weight);
    }
    out += strongest.empty() ? "   nothing in the text\n" : "\n";
  }
  return out;
}

}  // namespace

const char* name(SpanKind kind) {
  switch (kind) {
    case SpanKind::adaptive:
      return "adaptive";
    case SpanKind::dynamic:
      return "dynamic";
    case SpanKind::fixed:
      break;
  }
  return "fixed";
}

double TextReading::span_of(const TextCell& cell) const {
  double sum = 0;
  for (int64_t i = 0; i < cell.tokens; ++i) sum += spans.mean_of_token(cell.first + i);
  return sum / static_cast<double>(cell.tokens);
}

size_t TextReading::cell_at(int64_t token) const {
  const auto after = std::ranges::upper_bound(cells, token, {}, &TextCell::first);
  return static_cast<size_t>(after - cells.begin()) - 1;
}

std::vector<DistanceShare> shares_by_distance(const AttentionOverText& attention) {
  std::vector<DistanceShare> shares;
  const auto last = static_cast<int64_t>(attention.by_distance.size());
  for (int64_t from = 1, to = 1; from <= last; from = to + 1, to *= 2) {
    DistanceShare share{from, std::min(to, last), 0};
    for (int64_t d = from; d <= share.to; ++d) {
      share.weight += attention.by_distance[static_cast<size_t>(d - 1)];
    }
    shares.push_back(share);
  }
  return shares;
}

std::string text_of(const TextReading& reading) {
  std::string out = reading.spans.kind == SpanKind::dynamic ? spans_below_text(reading) : "";
  out += table_of_heads(reading) + weights_over_distance(reading);
  return out + what_the_last_attend_to(reading);
}

std::vector<ordered_json> json_of(const TextReading& reading) {
  const SpansOverText& spans = reading.spans;
  const AttentionOverText& a = reading.attention;
  std::vector<ordered_json> lines;
  for (const TextCell& cell : reading.cells) {
    for (int64_t t = cell.first; t < cell.first + cell.tokens; ++t) {
      const size_t byte = static_cast<size_t>(t - cell.first);
      ordered_json line = {{"token", t}, {"text", byte == 0 ? cell.text : ""}};
      if (spans.kind == SpanKind::dynamic) {
        ordered_json heads = ordered_json::array(), layers = ordered_json::array();
        for (int64_t l = 0; l < spans.layers; ++l) {
          layers.push_back(spans.mean_of_layer(t, l));
          ordered_json& row = heads.emplace_back(ordered_json::array());
          for (int64_t h = 0; h < spans.heads; ++h) row.push_back(spans.at(t, l, h));
        }
        line["mean_span"] = spans.mean_of_token(t);
        line["spans_by_layer"] = std::move(layers);
        line["spans"] = std::move(heads);
      }
      ordered_json& attended = line["attends_to"] = ordered_json::array();
      for (const Attended& one : a.strongest[static_cast<size_t>(t)]) {
        attended.push_back({{"token", one.token},
                            {"text", reading.cells[reading.cell_at(one.token)].text},
                            {"weight", one.weight}});
      }
      lines.push_back(std::move(line));
    }
  }
  lines.push_back({{"tokens", spans.tokens},
                   {"span_kind", name(spans.kind)},
                   {"span_limit", reading.model.span_limit},
                   {"mean_spans", spans.mean_of_heads()},
                   {"layer", a.head.layer},
                   {"head", a.head.head},
                   {"weights_by_distance", a.by_distance},
                   {"before_start", a.before_start},
                   {"persistent", a.persistent}});
  return lines;
}

}  // namespace adaspan
