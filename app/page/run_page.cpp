// SPDX-License-Identifier: MIT
#include "app/page/run_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "adaspan/models/cost.h"
#include "adaspan/train/run/config_record.h"
#include "app/output.h"
#include "app/page/html.h"
#include "app/page/page_files.h"
#include "app/page/run_charts.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

/// Settings and what the manifest tells, by name: "lr", "environment.cpu".
std::map<std::string, std::string> facts_of(const RunRecord& run, std::vector<std::string>& order) {
  std::map<std::string, std::string> facts;
  const auto add = [&](const std::string& name, const ordered_json& value) {
    if (std::find(order.begin(), order.end(), name) == order.end()) order.push_back(name);
    facts[name] = value.is_string() ? value.get<std::string>() : value.dump();
  };
  const auto add_all = [&](const std::string& before, const ordered_json& all) {
    for (auto one = all.begin(); one != all.end(); ++one) add(before + one.key(), one.value());
  };
  const ordered_json recorded = to_json(run.configuration);
  add_all("", recorded);
  if (run.entries.empty()) return facts;
  const ordered_json& entry = run.entries.back();
  for (const char* part : {"environment", "data"}) {
    if (entry.contains(part)) add_all(fmt::format("{}.", part), entry[part]);
  }
  if (entry.contains("parameters")) add("parameters", entry["parameters"]);
  if (entry.contains("init_from")) add("init_from", entry["init_from"]);
  return facts;
}

std::string value_of(const std::map<std::string, std::string>& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "not recorded" : found->second;
}

std::string settings(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  std::vector<std::string> order;
  std::vector<std::map<std::string, std::string>> all;
  for (const RunRecord& run : runs) all.push_back(facts_of(run, order));
  std::vector<std::string> differing;
  Rows shared = {{"setting", "value"}};
  for (const std::string& name : order) {
    const bool same = std::all_of(all.begin(), all.end(), [&](const auto& facts) {
      return value_of(facts, name) == value_of(all.front(), name);
    });
    if (same) shared.push_back({escaped(name), escaped(value_of(all.front(), name))});
    // Where a run is kept differs always, and says nothing.
    if (!same && name != "checkpoint") differing.push_back(name);
  }
  if (runs.size() == 1) return html_table("Settings and manifest", shared, "settings");
  std::string out;
  if (differing.empty()) {
    out += "<p>All settings are the same.</p>\n";
  } else {
    Rows rows = {{"run"}};
    for (const std::string& name : differing) rows[0].push_back(escaped(name));
    for (size_t r = 0; r < runs.size(); ++r) {
      auto& row = rows.emplace_back(std::vector<std::string>{escaped(names[r])});
      for (const std::string& name : differing) {
        const std::string value = value_of(all[r], name);
        const bool as_first = value == value_of(all.front(), name);
        row.push_back(as_first ? escaped(value) : fmt::format("<mark>{}</mark>", escaped(value)));
      }
    }
    out += html_table("What differs; marked: other than in the first run", rows);
  }
  return out + html_table("Settings that all share", shared, "settings");
}

std::string hours_text(const RunRecord& run) {
  for (auto step = run.steps.rbegin(); step != run.steps.rend(); ++step) {
    if (std::isfinite(step->seconds)) return duration_text(step->seconds);
  }
  return "–";
}

std::string results(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  Rows rows = {{"run", "unit", "steps", "training loss", "last validation", "best validation",
                "at step", "time", "parameters", "mean span", "largest span", "FLOPS per token",
                "with a fixed span"}};
  for (size_t r = 0; r < runs.size(); ++r) {
    const RunRecord& run = runs[r];
    const auto shown = [&](double nats) {
      return std::isfinite(nats)
                 ? fmt::format("{:.4f}", in_unit(nats, run.configuration.run.data_unit))
                 : "–";
    };
    const LoggedStep last = run.steps.empty() ? LoggedStep() : run.steps.back();
    LoggedValidation best;
    for (const LoggedValidation& one : run.validations) {
      if (!(best.loss <= one.loss)) best = one;
    }
    const ModelConfig& model = run.configuration.model;
    const auto flops = [&](double span) {
      const bool known = model.vocabulary > 0 && std::isfinite(span);
      return known ? fmt::format("{:.4g} M", flops_per_token(model, span) / 1e6) : "–";
    };
    const bool counted = !run.entries.empty() && run.entries.back().contains("parameters");
    rows.push_back({escaped(names[r]), name(run.configuration.run.data_unit),
                    fmt::format("{} of {}", with_commas(last.step),
                                with_commas(run.configuration.run.steps())),
                    shown(last.loss),
                    shown(run.validations.empty() ? kNotRecorded : run.validations.back().loss),
                    shown(best.loss), std::isfinite(best.loss) ? with_commas(best.step) : "–",
                    hours_text(run),
                    counted ? with_commas(run.entries.back()["parameters"].get<int64_t>()) : "–",
                    number_text(last.span_mean), number_text(last.span_max), flops(last.span_mean),
                    flops(static_cast<double>(model.span_limit))});
  }
  if (runs.size() > 1)
    return html_table("Results; losses in the run's unit, spans in tokens", rows);
  Rows turned = {{"of the run", "value"}};
  for (size_t c = 1; c < rows[0].size(); ++c) turned.push_back({rows[0][c], rows[1][c]});
  return html_table("Results; losses in the run's unit, spans in tokens", turned);
}

std::string test_section(const PageOptions& options) {
  if (!options.test) {
    return options.without_test.empty() ? ""
                                        : fmt::format("<p>{}</p>\n", escaped(options.without_test));
  }
  const TestSection& test = *options.test;
  Rows rows = {{"", fmt::format("loss ({})", escaped(test.unit))}};
  for (const auto& [name, loss] : test.losses) {
    rows.push_back({escaped(name), loss ? fmt::format("{:.3f}", *loss) : "not installed"});
  }
  return fmt::format("<p>{}</p>\n{}<h3>What it writes</h3>\n<pre>{}</pre>\n", escaped(test.about),
                     html_table("Loss on the test text, next to general compressors", rows),
                     escaped(test.sample));
}

std::string filter(const std::vector<std::string>& names) {
  if (names.size() < 2) return "";
  std::string out = "<fieldset class=\"filter only-script\" hidden><legend>Runs shown</legend>\n";
  for (size_t r = 0; r < names.size(); ++r) {
    out += fmt::format("<label><input type=\"checkbox\" value=\"{}\" checked> {}</label>\n", r,
                       escaped(names[r]));
  }
  return out + "</fieldset>\n";
}

std::string section(const char* id, const char* title, const std::string& content) {
  return content.empty() ? "" : fmt::format("<h2 id=\"{}\">{}</h2>\n{}", id, title, content);
}

std::string figures(const RunCharts& charts, ChartGroup group) {
  std::string out;
  for (const RunChart& one : charts.charts) {
    if (one.group == group) out += html_figure(one.chart, one.caption, one.numbers);
  }
  return out.empty() ? "" : fmt::format("<div class=\"charts\">\n{}</div>\n", out);
}

}  // namespace

std::string page_of(const std::vector<RunRecord>& runs, const PageOptions& options) {
  const RunCharts charts = charts_of(runs);
  const std::vector<std::string> names = names_of(runs);
  const std::string title =
      runs.size() == 1 ? fmt::format("Run {}", names[0]) : fmt::format("{} runs", runs.size());
  std::string missing;
  for (const std::string& line : charts.missing)
    missing += fmt::format("<li>{}</li>\n", escaped(line));
  if (!missing.empty()) missing = fmt::format("<ul class=\"soft\">\n{}</ul>\n", missing);
  using enum ChartGroup;
  const std::string body = section("results", "Results", results(runs, names)) + filter(names) +
                           section("loss", "Loss", figures(charts, loss)) +
                           section("spans", "How far the heads look", figures(charts, spans)) +
                           section("cost", "Cost", figures(charts, cost)) +
                           section("training", "Training", figures(charts, training)) +
                           section("test", "Test text", test_section(options)) +
                           section("settings", "Settings", settings(runs, names)) +
                           section("missing", "What is not here", missing);
  std::string links;
  for (const auto& [id, text] :
       std::initializer_list<std::pair<const char*, const char*>>{{"results", "Results"},
                                                                  {"loss", "Loss"},
                                                                  {"spans", "Spans"},
                                                                  {"cost", "Cost"},
                                                                  {"training", "Training"},
                                                                  {"test", "Test text"},
                                                                  {"settings", "Settings"}}) {
    if (body.find(fmt::format("<h2 id=\"{}\"", id)) == std::string::npos) continue;
    links += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", id, text);
  }
  const std::string refresh =
      options.refresh_s > 0 ? fmt::format(" data-refresh=\"{}\"", options.refresh_s) : "";
  const std::string without_script =
      options.refresh_s > 0
          ? fmt::format("<noscript><meta http-equiv=\"refresh\" content=\"{}\"></noscript>\n",
                        options.refresh_s)
          : "";
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"{}>\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{}<title>{}</title>\n"
      "<link rel=\"icon\" "
      "href=\"data:,\">\n<style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n"
      "<nav aria-label=\"Parts of the page\"><ul>\n{}</ul></nav>\n<p class=\"hint soft "
      "only-script\" hidden>Point at a line, or use the arrow "
      "keys on a chart, for its numbers.</p>\n{}</main>\n<script>{}</script>\n"
      "</body>\n</html>\n",
      refresh, without_script, escaped(title), kPageStyle, escaped(title), links, body,
      kPageScript);
}

}  // namespace adaspan
