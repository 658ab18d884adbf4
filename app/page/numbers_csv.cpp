// SPDX-License-Identifier: MIT
#include "app/page/numbers_csv.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/page/run_charts.h"

namespace adaspan {
namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string cell(double value) {
  return std::isfinite(value) ? fmt::format(",{}", value) : ",";
}

}  // namespace

std::string csv_of(const std::vector<RunRecord>& runs) {
  size_t layers = 0, heads = 0;
  for (const RunRecord& run : runs) {
    for (const LoggedStep& step : run.steps) {
      layers = std::max(layers, step.spans.size());
      for (const auto& layer : step.spans) heads = std::max(heads, layer.size());
    }
  }
  std::string out =
      "run,kind,step,loss_nats,learning_rate,gradient_norm,clipped,span_mean,span_max,tokens_per_s,"
      "seconds,memory_mb";
  for (size_t l = 0; l < layers; ++l) {
    for (size_t h = 0; h < heads; ++h) out += fmt::format(",span_{}_{}", l, h);
  }
  out += "\n";
  const std::vector<std::string> names = names_of(runs);
  for (size_t r = 0; r < runs.size(); ++r) {
    for (const LoggedStep& s : runs[r].steps) {
      out += fmt::format("{},training,{}", quoted(names[r]), s.step);
      for (const double value : {s.loss, s.learning_rate, s.gradient_norm, s.clipped, s.span_mean,
                                 s.span_max, s.tokens_per_s, s.seconds, s.memory_mb}) {
        out += cell(value);
      }
      for (size_t l = 0; l < layers; ++l) {
        for (size_t h = 0; h < heads; ++h) {
          const bool there = l < s.spans.size() && h < s.spans[l].size();
          out += there ? fmt::format(",{}", s.spans[l][h]) : ",";
        }
      }
      out += "\n";
    }
    for (const LoggedValidation& v : runs[r].validations) {
      out += fmt::format("{},validation,{}{},,,,,,{},", quoted(names[r]), v.step, cell(v.loss),
                         cell(v.seconds)) +
             std::string(layers * heads, ',') + "\n";
    }
  }
  return out;
}

}  // namespace adaspan
