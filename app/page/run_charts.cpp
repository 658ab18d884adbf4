// SPDX-License-Identifier: MIT
#include "app/page/run_charts.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "adaspan/models/cost.h"
#include "adaspan/ops/span_mask.h"
#include "app/charts/heads_chart.h"
#include "app/charts/heat_map.h"
#include "app/charts/line_chart.h"
#include "app/page/html.h"

namespace adaspan {
namespace {

using OfStep = std::function<double(const RunRecord&, const LoggedStep&)>;

class Drawing {
 public:
  Drawing(const std::vector<RunRecord>& runs, RunCharts& out)
      : runs_(runs), names_(names_of(runs)), out_(out) {
    const auto unit_of = [](const RunRecord& run) { return run.configuration.run.data_unit; };
    for (const RunRecord& run : runs) same_unit_ &= unit_of(run) == unit_of(runs.front());
  }

  void losses() {
    add_losses("loss-over-steps", "Loss over steps", {"step"},
               [](const auto& one) { return static_cast<double>(one.step); });
    add_losses("loss-over-hours", "Loss over hours", {"training time", "hours"},
               [](const auto& one) { return one.seconds / 3600; });
  }

  void of_steps(ChartGroup group, const std::string& id, const std::string& title, Axis y,
                const std::string& caption, const OfStep& value) {
    LineChart chart{{id, title, ""}, {"step"}, std::move(y), {}};
    for (size_t r = 0; r < runs_.size(); ++r) chart.lines.push_back(line(r, value));
    add(group, std::move(chart), caption);
  }

  void costs() {
    LineChart chart{{"flops-per-token", "Cost of a token", ""},
                    {"step"},
                    {"FLOPS per token", "millions of multiply-adds", false, 0.0, {}},
                    {}};
    for (size_t r = 0; r < runs_.size(); ++r) {
      const ModelConfig& model = runs_[r].configuration.model;
      if (model.vocabulary < 1) continue;
      chart.lines.push_back(line(r, [&](const RunRecord&, const LoggedStep& step) {
        return flops_per_token(model, step.span_mean) / 1e6;
      }));
      if (runs_.size() > 4 || runs_[r].steps.empty()) continue;
      const double fixed = flops_per_token(model, static_cast<double>(model.span_limit)) / 1e6;
      const auto first = static_cast<double>(runs_[r].steps.front().step);
      const auto last = static_cast<double>(runs_[r].steps.back().step);
      chart.lines.push_back(
          {names_[r] + ", fixed span", {{first, last}, {fixed, fixed}}, r + runs_.size(), false});
    }
    add(ChartGroup::cost, std::move(chart),
        "What the papers call FLOPS: multiply-adds of the forward pass, at the mean span of that "
        "step; for a fixed span, that every head looks back as far as the limit.");
  }

  void heads(size_t most) {
    for (size_t r = 0; r < std::min(most, runs_.size()); ++r) {
      const auto reaches = last_reaches(runs_[r]);
      if (reaches.empty()) continue;
      add_heads(r, reaches);
      add_history(r);
    }
    if (runs_.size() > most) {
      out_.missing.push_back(
          fmt::format("Heads are drawn of the first {} of {} runs.", most, runs_.size()));
    }
  }

 private:
  std::string id_of(const char* id, size_t r) const {
    return runs_.size() == 1 ? id : fmt::format("{}-{}", id, r + 1);
  }
  std::string title_of(const char* title, size_t r) const {
    return runs_.size() == 1 ? title : fmt::format("{}: {}", title, shortened(names_[r], 40));
  }

  double shown(const RunRecord& run, double nats) const {
    return same_unit_ ? in_unit(nats, run.configuration.run.data_unit) : nats;
  }

  Line line(size_t r, const OfStep& value) const {
    Line one{names_[r], {}, r};
    for (const LoggedStep& step : runs_[r].steps) {
      one.points.x.push_back(static_cast<double>(step.step));
      one.points.y.push_back(value(runs_[r], step));
    }
    return one;
  }

  template <class Place>
  void add_losses(const std::string& id, const std::string& title, const Axis& x, Place place) {
    const std::string unit = same_unit_ ? name(runs_.front().configuration.run.data_unit) : "nats";
    LineChart chart{{id, title, ""}, x, {"loss", unit}, {}};
    std::vector<Line> validations;
    for (size_t r = 0; r < runs_.size(); ++r) {
      Line train{names_[r] + (runs_.size() == 1 ? ": training" : ", training"), {}, r};
      Line valid{runs_.size() == 1 ? names_[r] + ": validation" : names_[r],
                 {},
                 runs_.size() == 1 ? 1 : r,
                 true};
      const auto take = [&](Line& to, const auto& from) {
        for (const auto& one : from) {
          if (!std::isfinite(place(one))) continue;
          to.points.x.push_back(place(one));
          to.points.y.push_back(shown(runs_[r], one.loss));
        }
      };
      take(train, runs_[r].steps);
      take(valid, runs_[r].validations);
      chart.lines.push_back(std::move(train));
      validations.push_back(std::move(valid));
    }
    chart.y = around(chart, validations);
    // Validations lie above all training, and come first in the legend of several.
    for (Line& valid : validations) chart.lines.push_back(std::move(valid));
    std::stable_sort(chart.lines.begin(), chart.lines.end(),
                     [](const Line& a, const Line& b) { return a.marked < b.marked; });
    add(ChartGroup::loss, std::move(chart),
        "Thin: training, each logged step by itself. Strong, with marks: validation.");
  }

  /// The losses of the first steps are so large that they would leave no room for what follows: the
  /// axis ends where nineteen of twenty are below.
  static Axis around(const LineChart& chart, const std::vector<Line>& validations) {
    std::vector<double> all;
    double high = 0;
    for (const auto* lines : {&chart.lines, &validations}) {
      for (const Line& line : *lines) {
        for (const double y : line.points.y) {
          if (std::isfinite(y)) all.push_back(y);
        }
      }
    }
    for (const double y : all) high = std::max(high, y);
    Axis axis = chart.y;
    if (all.size() < 40) return axis;
    const auto at = all.begin() + static_cast<int64_t>(all.size() * 19 / 20);
    std::nth_element(all.begin(), at, all.end());
    const double most = *at, least = *std::min_element(all.begin(), all.end());
    if (high > most + (most - least)) axis.high = most + 0.6 * (most - least);
    return axis;
  }

  void add(ChartGroup group, LineChart chart, const std::string& caption) {
    std::vector<std::string> without;
    for (Line& line : chart.lines) {
      const auto& y = line.points.y;
      const bool any = std::any_of(y.begin(), y.end(), [](double v) { return std::isfinite(v); });
      if (!any) {
        without.push_back(line.name);
        line.points = {};
      }
    }
    std::erase_if(chart.lines, [](const Line& line) { return line.points.x.empty(); });
    if (chart.lines.empty()) {
      out_.missing.push_back(fmt::format("{}: not recorded.", chart.texts.title));
      return;
    }
    chart.texts.description = described(chart);
    out_.charts.push_back({group, {chart.texts.id, svg_of(chart)}, caption, table_of_lines(chart)});
  }

  /// What a screen reader says in place of the picture.
  static std::string described(const LineChart& chart) {
    std::string text = fmt::format("{} over {}.", chart.y.title(), chart.x.title());
    for (size_t l = 0; l < std::min<size_t>(6, chart.lines.size()); ++l) {
      const Points& p = chart.lines[l].points;
      text +=
          fmt::format(" {}: from {} to {} at {}.", chart.lines[l].name, number_text(p.y.front()),
                      number_text(p.y.back()), number_text(p.x.back()));
    }
    if (chart.lines.size() > 6) text += fmt::format(" And {} more lines.", chart.lines.size() - 6);
    return text;
  }

  void add_heads(size_t r, const std::vector<std::vector<double>>& reaches) {
    size_t layer = 0, head = 0;
    std::vector<std::vector<std::string>> rows = {{"layer"}};
    for (size_t h = 0; h < reaches[0].size(); ++h) rows[0].push_back(fmt::format("head {}", h));
    for (size_t l = 0; l < reaches.size(); ++l) {
      auto& row = rows.emplace_back(std::vector<std::string>{fmt::format("{}", l)});
      for (size_t h = 0; h < reaches[l].size(); ++h) {
        row.push_back(number_text(reaches[l][h]));
        if (reaches[l][h] > reaches[layer][head]) layer = l, head = h;
      }
    }
    const std::string furthest = fmt::format("Layer {}, head {} looks back furthest: {} tokens.",
                                             layer, head, number_text(reaches[layer][head]));
    HeadsChart chart{{id_of("heads", r), title_of("Span of every head by layer", r), furthest},
                     {"span", "tokens", true},
                     reaches};
    out_.charts.push_back(
        {ChartGroup::spans,
         {chart.texts.id, svg_of(chart)},
         fmt::format("A dot for each head, at the last step that is logged; the line is the mean "
                     "of its layer. <strong>{}</strong>",
                     furthest),
         html_table("How far each head looks back, in tokens", rows)});
  }

  void add_history(size_t r) {
    const RunRecord& run = runs_[r];
    std::vector<const LoggedStep*> with;
    for (const LoggedStep& step : run.steps) {
      if (!step.spans.empty()) with.push_back(&step);
    }
    if (with.size() < 2) return;
    const ModelConfig& model = run.configuration.model;
    HeatMap map{{id_of("span-history", r), title_of("Span of every head over steps", r), ""},
                {"step"},
                {fmt::format("layer, {} heads each", with.front()->spans[0].size())},
                "tokens",
                {static_cast<double>(with.front()->step) - 1e-9},
                {},
                {}};
    const size_t layers = with.front()->spans.size();
    for (size_t l = 0; l < layers; ++l) {
      const size_t count = with.front()->spans[l].size();
      for (size_t h = 0; h < count; ++h) {
        map.values.emplace_back();
        map.row_names.push_back(h == count / 2 && l % (1 + layers / 16) == 0 ? fmt::format("{}", l)
                                                                             : "");
      }
    }
    std::vector<std::vector<std::string>> rows = {
        {"step", "mean span (tokens)", "largest span (tokens)"}};
    const auto places = spread_places(with.size());
    const auto told = spread_places(places.size(), 12);
    for (size_t i = 0; i < places.size(); ++i) {
      const LoggedStep& step = *with[places[i]];
      if (i > 0) map.edges.push_back(static_cast<double>(step.step));
      size_t row = 0;
      for (const auto& layer : step.spans) {
        for (const float z : layer) {
          if (row < map.values.size()) {
            map.values[row++].push_back(
                static_cast<double>(span_reach(z, model.ramp, model.span_limit)));
          }
        }
      }
      if (std::find(told.begin(), told.end(), i) != told.end()) {
        rows.push_back({number_text(static_cast<double>(step.step)), number_text(step.span_mean),
                        number_text(step.span_max)});
      }
    }
    const double last = map.edges.back();
    map.edges.push_back(last + (last - map.edges[map.edges.size() - 2]));
    map.texts.description = fmt::format(
        "{} rows, a head each, layer 0 at the bottom; {} columns of steps. The stronger the "
        "colour, the further "
        "back the head looks.",
        map.values.size(), places.size());
    out_.charts.push_back({ChartGroup::spans,
                           {map.texts.id, svg_of(map)},
                           "A row for each head, layer 0 at the bottom.",
                           html_table("Spans over steps", rows)});
  }

  const std::vector<RunRecord>& runs_;
  std::vector<std::string> names_;
  RunCharts& out_;
  bool same_unit_ = true;
};

}  // namespace

std::vector<std::vector<double>> last_reaches(const RunRecord& run) {
  std::vector<std::vector<double>> reaches;
  for (auto step = run.steps.rbegin(); step != run.steps.rend(); ++step) {
    if (step->spans.empty()) continue;
    const ModelConfig& model = run.configuration.model;
    for (const auto& layer : step->spans) {
      auto& row = reaches.emplace_back();
      for (const float z : layer) {
        row.push_back(static_cast<double>(span_reach(z, model.ramp, model.span_limit)));
      }
    }
    break;
  }
  return reaches;
}

std::vector<std::string> names_of(const std::vector<RunRecord>& runs) {
  std::vector<std::string> names;
  std::multiset<std::string> seen;
  for (const RunRecord& run : runs) seen.insert(run.name);
  for (const RunRecord& run : runs) {
    names.push_back(seen.count(run.name) == 1 ? run.name : run.folder.lexically_normal().string());
  }
  return names;
}

RunCharts charts_of(const std::vector<RunRecord>& runs, size_t most_heads) {
  RunCharts out;
  if (runs.empty()) return out;
  Drawing draw(runs, out);
  using enum ChartGroup;
  draw.losses();
  draw.heads(most_heads);
  draw.of_steps(spans, "mean-span", "Mean span of all heads", {"mean span", "tokens"},
                "The mean of how far all heads look back.",
                [](const RunRecord&, const LoggedStep& s) { return s.span_mean; });
  draw.of_steps(spans, "largest-span", "Span of the head that looks furthest",
                {"largest span", "tokens"}, "The largest of all heads' spans at each step.",
                [](const RunRecord&, const LoggedStep& s) { return s.span_max; });
  draw.costs();
  draw.of_steps(training, "learning-rate", "Learning rate", {"learning rate"},
                "As the schedule gave it.",
                [](const RunRecord&, const LoggedStep& s) { return s.learning_rate; });
  draw.of_steps(training, "gradient-norm", "Gradient norm", {"norm, before clipping", "", true},
                "Over all parameters, before clipping.",
                [](const RunRecord&, const LoggedStep& s) { return s.gradient_norm; });
  draw.of_steps(training, "clipped", "Share of clipped tensors",
                {"clipped tensors", "%", false, 0.0, 100.0},
                "Of all tensors of parameters, those whose gradient was clipped in the step.",
                [](const RunRecord&, const LoggedStep& s) { return 100 * s.clipped; });
  draw.of_steps(training, "speed", "Speed", {"speed", "tokens per second", false, 0.0, {}},
                "Tokens that were trained on, per second.",
                [](const RunRecord&, const LoggedStep& s) { return s.tokens_per_s; });
  draw.of_steps(training, "memory", "Memory", {"resident memory", "MB", false, 0.0, {}},
                "Memory that the process held.",
                [](const RunRecord&, const LoggedStep& s) { return s.memory_mb; });
  return out;
}

}  // namespace adaspan
