// SPDX-License-Identifier: MIT
#include "app/spans_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/train/data/utf8.h"
#include "app/output.h"

namespace adaspan {
namespace {

constexpr size_t kMostCells = 20000;  // of the text that a page has
constexpr size_t kMostRows = 400;     // of the table of what characters attend to

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --grid: #d5d9de; --soft: #5c656f;
  --mark: 222, 120, 20; --tint: 40, 110, 200; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #16191c; --grid: #3a4046;
  --soft: #a3abb3; --mark: 240, 150, 50; --tint: 70, 140, 235; } }
@media print { :root { --ink: #000; --paper: #fff; --grid: #bbb; --soft: #444; --mark: 222, 120, 20;
  --tint: 40, 110, 200; } .only-script { display: none; } }
body { background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p, li { max-width: 46rem; }
.soft { color: var(--soft); }
.text { border: 1px solid var(--grid); border-radius: 4px; font: 1rem/1.7 ui-monospace, monospace;
  overflow-wrap: anywhere; padding: .6rem; white-space: pre-wrap; }
.text i { background: rgba(var(--tint), calc(var(--s, 0) * .6)); font-style: normal;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.text i.here { outline: 2px solid rgb(var(--mark)); }
.text.pointed i { background: rgba(var(--mark), var(--w, 0)); }
.text:focus-visible, summary:focus-visible { outline: 3px solid rgb(var(--mark)); }
.said { border-left: 4px solid rgb(var(--mark)); min-height: 3em; padding-left: .6rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { height: auto; max-width: 100%; min-width: 34rem; }
@media print { figure { break-inside: avoid; } }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { color: var(--soft); text-align: left; }
th, td { border-bottom: 1px solid var(--grid); padding: .15rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
td.chosen { font-weight: bold; text-decoration: underline; }
.bar { background: rgba(var(--tint), .8); display: inline-block; height: .7em;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
)css";

// Places and weights come as [how far back, per mille, ...] of each cell.
constexpr const char* kScript = R"js(
const text = document.querySelector('.text'), said = document.querySelector('.said');
const cells = [...text.children], attended = JSON.parse(document.getElementById('attended').textContent);
let here = -1;
function point(at) {
  cells.forEach(cell => { cell.classList.remove('here'); cell.style.removeProperty('--w'); });
  here = at;
  text.classList.toggle('pointed', at >= 0);
  if (at < 0) return;
  cells[at].classList.add('here');
  const told = [], all = attended[at];
  for (let i = 0; i < all.length; i += 2) {
    const seen = cells[at - all[i]];
    if (!seen) continue;
    const weight = all[i + 1] / 1000, before = Number(seen.style.getPropertyValue('--w'));
    seen.style.setProperty('--w', Math.min(1, before + .15 + .85 * weight));
    told.push(`${seen.dataset.c || seen.textContent} ${all[i]} back: ${(100 * weight).toFixed(1)}%`);
  }
  const name = cells[at].dataset.c || cells[at].textContent;
  said.textContent = `${name} (${at}) attends to ` + (told.join(', ') || 'nothing in the text');
}
text.addEventListener('pointerover', event => {
  const at = cells.indexOf(event.target);
  if (at >= 0) point(at);
});
text.addEventListener('pointerleave', () => { if (document.activeElement !== text) point(-1); });
text.addEventListener('click', event => point(cells.indexOf(event.target)));
text.addEventListener('keydown', event => {
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -20, ArrowDown: 20}[event.key];
  const to = event.key === 'Home' ? 0 : event.key === 'End' ? cells.length - 1 : by && here + by;
  if (event.key === 'Escape') return point(-1);
  if (to === undefined) return;
  event.preventDefault();
  point(Math.max(0, Math.min(cells.length - 1, to)));
});
document.querySelectorAll('.only-script').forEach(one => one.hidden = false);
)js";

/// How a cell is called among others.
std::string name_of(const TextCell& cell) {
  return cell.text == " " ? "space" : cell.text == "\n" ? "newline" : cell.shown;
}

/// The cells that a page has: the last ones of a longer text.
std::span<const TextCell> shown_cells(const TextReading& reading) {
  const std::span<const TextCell> all = reading.cells;
  return all.last(std::min(all.size(), kMostCells));
}

std::string shaded_text(const TextReading& reading) {
  const auto cells = shown_cells(reading);
  double low = reading.span_of(cells[0]), high = low;
  for (const TextCell& cell : cells) {
    low = std::min(low, reading.span_of(cell));
    high = std::max(high, reading.span_of(cell));
  }
  std::string out;
  if (cells.size() < reading.cells.size()) {
    out += fmt::format("<p class=\"soft\">The last {} {}s of {}.</p>\n", with_commas(kMostCells),
                       reading.unit(), with_commas(static_cast<int64_t>(reading.cells.size())));
  }
  if (high > low) {
    out += fmt::format(
        "<p>The stronger the tint, the further back all heads look on average: z from {:.1f} to "
        "{:.1f} steps.</p>\n",
        low, high);
  }
  out +=
      "<p class=\"only-script\" hidden>Point at one, or step through the text with the arrow keys, "
      "to "
      "see what it attends to.</p>\n<div class=\"text\" tabindex=\"0\" role=\"group\" "
      "aria-label=\"The text\" aria-describedby=\"said\">";
  for (const TextCell& cell : cells) {
    const double share = high > low ? (reading.span_of(cell) - low) / (high - low) : 0;
    const std::string called = name_of(cell);
    out += fmt::format(
        "<i{}{}>{}{}</i>{}", share > 0 ? fmt::format(" style=--s:{:.2f}", share) : "",
        called == cell.shown ? "" : fmt::format(" data-c={}", called), escaped(cell.shown),
        cell.text == "\n" ? "\n" : "", reading.words && cell.text != "\n" ? " " : "");
  }
  return out + "</div>\n<p class=\"said only-script\" id=\"said\" role=\"status\" hidden></p>\n";
}

/// For the script; in cells, not tokens.
std::string attended_as_json(const TextReading& reading) {
  nlohmann::json all = nlohmann::json::array();
  for (size_t i = reading.cells.size() - shown_cells(reading).size(); i < reading.cells.size();
       ++i) {
    nlohmann::json& row = all.emplace_back(nlohmann::json::array());
    for (const Attended& one : reading.attended_by(reading.cells[i])) {
      row.push_back(i - reading.cell_at(one.token));
      row.push_back(std::lround(1000 * one.weight));
    }
  }
  return all.dump();
}

std::string table_of_heads(const TextReading& reading) {
  const HeadChoice& chosen = reading.attention.head;
  const auto means = reading.spans.mean_of_heads();
  std::string out = fmt::format(
      "<div class=\"wide\"><table><caption>Mean z of each head over the text, in steps (at most "
      "{}); "
      "underlined: the head that is looked at</caption>\n<tr><th scope=\"col\">layer</th>",
      reading.model.span_limit);
  for (size_t h = 0; h < means[0].size(); ++h) {
    out += fmt::format("<th scope=\"col\">head {}</th>", h);
  }
  for (size_t l = 0; l < means.size(); ++l) {
    out += fmt::format("</tr>\n<tr><th scope=\"row\">{}</th>", l);
    for (size_t h = 0; h < means[l].size(); ++h) {
      const bool marked =
          l == static_cast<size_t>(chosen.layer) && h == static_cast<size_t>(chosen.head);
      out += fmt::format("<td{}>{:.1f}</td>", marked ? " class=\"chosen\"" : "", means[l][h]);
    }
  }
  return out + "</tr></table></div>\n";
}

std::string table_of_distances(const TextReading& reading) {
  std::string out =
      "<div class=\"wide\"><table><caption>Share of the head's weight by distance, on average over "
      "the "
      "text</caption>\n<tr><th scope=\"col\">distance</th><th "
      "scope=\"col\">weight</th><td></td></tr>\n";
  const auto add = [&](const std::string& name, double weight) {
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{:.2f}%</td><td style=\"text-align:left\"><span "
        "class=\"bar\" style=\"width:{:.1f}rem\"></span></td></tr>\n",
        name, 100 * weight, 15 * weight);
  };
  for (const DistanceShare& share : shares_by_distance(reading.attention)) {
    add(share.from == share.to ? fmt::format("{}", share.from)
                               : fmt::format("{} to {}", share.from, share.to),
        share.weight);
  }
  if (reading.model.persistent > 0) add("persistent vectors", reading.attention.persistent);
  add("zeros before the text", reading.attention.before_start);
  return out + "</table></div>\n";
}

std::string table_of_attended(const TextReading& reading) {
  const size_t rows = std::min(reading.cells.size(), kMostRows);
  std::string out = fmt::format(
      "<details><summary>What the last {} {}s attend to, as a table</summary>\n<div "
      "class=\"wide\"><table><caption>How far back in tokens, and with what "
      "weight</caption>\n<tr><th "
      "scope=\"col\">token</th><th scope=\"col\">{}</th><th scope=\"col\">attends most "
      "to</th></tr>\n",
      rows, reading.unit(), reading.unit());
  for (size_t i = reading.cells.size() - rows; i < reading.cells.size(); ++i) {
    const TextCell& cell = reading.cells[i];
    const int64_t token = cell.first + cell.tokens - 1;
    std::string seen;
    for (const Attended& one : reading.attended_by(cell)) {
      seen += fmt::format("{}{} {} back {:.1f}%", seen.empty() ? "" : ", ",
                          escaped(name_of(reading.cells[reading.cell_at(one.token)])),
                          token - one.token, 100 * one.weight);
    }
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", token,
                       escaped(name_of(cell)), seen.empty() ? "nothing in the text" : seen);
  }
  return out + "</table></div></details>\n";
}

}  // namespace

std::string page_of(const TextReading& reading, const std::string& checkpoint) {
  const HeadChoice& head = reading.attention.head;
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>Spans over text</title>\n"
      "<style>{}</style>\n</head>\n<body>\n<main>\n<h1>Spans over text</h1>\n<p>{} tokens, read by "
      "{} "
      "({} layers of {} heads, {} spans).</p>\n",
      kStyle, with_commas(reading.spans.tokens), escaped(visible(checkpoint)), reading.spans.layers,
      reading.spans.heads, name(reading.spans.kind));
  out += "<h2>The text</h2>\n" + shaded_text(reading);
  std::string of_spans, of_head;
  for (const NamedChart& chart : charts_of(reading)) {
    std::string& to = chart.name.ends_with("-over-text") ? of_spans : of_head;
    to += fmt::format("<figure id=\"{}\">{}</figure>\n", chart.name, chart.svg);
  }
  out += "<h2>How far the heads look</h2>\n" + of_spans + table_of_heads(reading);
  out += fmt::format("<h2>Where layer {}, head {} looks</h2>\n", head.layer, head.head) + of_head +
         table_of_distances(reading) + table_of_attended(reading);
  return out + fmt::format(
                   "</main>\n<script type=\"application/json\" id=\"attended\">{}</script>\n"
                   "<script>{}</script>\n</body>\n</html>\n",
                   attended_as_json(reading), kScript);
}

}  // namespace adaspan
