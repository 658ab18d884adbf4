// SPDX-License-Identifier: MIT
// Lines are long (a number of each head, twice) and many, and few of their numbers are wanted: they
// are searched for in the text, before and after the spans, not parsed as a whole.
#include "app/runs/run_record.h"

#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "adaspan/core/error.h"
#include "adaspan/core/shallow_json.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/manifest.h"
#include "app/charts/reduced.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

constexpr size_t kTail = 400;  // characters at the end of a line that hold what follows its spans

/// What comes before the spans of a line, and its end.
struct LineParts {
  std::string_view head, tail;
};

LineParts parts_of(std::string_view line) {
  const size_t spans = line.substr(0, 2000).find("\"spans\":");
  if (spans == std::string_view::npos) return {line, {}};
  return {line.substr(0, spans),
          line.substr(std::max(spans, line.size() - std::min(line.size(), kTail)))};
}

double number_in(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  double value = kNotRecorded;
  if (at == std::string_view::npos) return value;
  const char* from = text.data() + at + key.size();
  const auto result = std::from_chars(from, text.data() + text.size(), value);
  return result.ec == std::errc() ? value : kNotRecorded;
}

double number_of(const LineParts& parts, std::string_view key) {
  const double value = number_in(parts.head, key);
  return value == value ? value : number_in(parts.tail, key);
}

bool is_true(const LineParts& parts, std::string_view key) {
  return parts.head.find(std::string(key) + "true") != std::string_view::npos;
}

LoggedStep step_of(int64_t step, const LineParts& line) {
  LoggedStep one{.step = step};
  one.loss = number_of(line, "\"loss\":");
  one.learning_rate = number_of(line, "\"lr\":");
  one.gradient_norm = number_of(line, "\"grad_norm\":");
  one.clipped = number_of(line, "\"clipped\":");
  one.span_mean = number_of(line, "\"span_mean\":");
  one.span_max = number_of(line, "\"span_max\":");
  one.tokens_per_s = number_of(line, "\"tokens_per_s\":");
  if (!(one.tokens_per_s == one.tokens_per_s)) {
    one.tokens_per_s = number_of(line, "\"chars_per_s\":");  // before 0.2.0
  }
  one.seconds = number_of(line, "\"seconds\":");
  one.memory_mb = number_of(line, "\"memory_mb\":");
  return one;
}

/// "[[1,2],[3,4]]"
std::vector<std::vector<float>> spans_in(std::string_view line) {
  constexpr std::string_view kKey = "\"spans\":[";
  std::vector<std::vector<float>> spans;
  const size_t key = line.find(kKey);
  if (key == std::string_view::npos) return spans;
  const char* at = line.data() + key + kKey.size();
  const char* const end = line.data() + line.size();
  for (; at < end && *at != ']'; ++at) {
    if (*at != '[') continue;
    auto& layer = spans.emplace_back();
    while (at < end && *at != ']') {
      float value = 0;
      const auto result = std::from_chars(++at, end, value);
      if (result.ec != std::errc()) return {};
      layer.push_back(value);
      at = result.ptr;
    }
  }
  return spans;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  require(file.good(),
          "[run] expected the folder of a run, with a metrics.jsonl; got none at {}; 'adaspan "
          "train' writes it beside the checkpoint",
          path.string());
  std::string text(static_cast<size_t>(file.tellg()), '\0');
  file.seekg(0);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

void take_configuration(RunRecord& run, std::string_view line, const std::string& path) {
  const ordered_json json = shallow_json(line);
  require(json.is_object() && json.contains("configuration"),
          "[run] expected a configuration on the first line of {}; got another text; is it a run's "
          "metrics.jsonl?",
          path);
  run.configuration = config_from_json(json["configuration"]);
  if (!json.contains("data") || !json["data"].is_object()) return;
  const ordered_json& data = json["data"];
  if (data.contains("vocabulary") && data["vocabulary"].is_number_integer()) {
    run.configuration.model.vocabulary = data["vocabulary"].get<int64_t>();
  }
}

}  // namespace

RunRecord read_run(const std::filesystem::path& folder) {
  RunRecord run{.folder = folder,
                .name = "",
                .configuration = {},
                .entries = {},
                .steps = {},
                .validations = {}};
  const auto whole = std::filesystem::weakly_canonical(folder);
  run.name = whole.filename().string();
  const std::filesystem::path path = folder / "metrics.jsonl";
  const std::string text = text_of(path);
  const std::filesystem::path manifest = folder / "manifest.json";
  if (std::filesystem::exists(manifest)) run.entries = read_manifest(manifest);
  std::vector<std::string_view> lines;  // of steps
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line(text.data() + begin, end - begin);
    if (begin == 0 || line.starts_with("{\"configuration\"")) {
      take_configuration(run, line, path.string());
      continue;
    }
    if (line.size() < 2 || line.front() != '{' || line.back() != '}') continue;
    const LineParts parts = parts_of(line);
    const double step = number_in(parts.head, "\"step\":");
    if (!(step >= 0 && step < 0x1p53)) continue;
    const auto whole_step = static_cast<int64_t>(step);
    const double valid = number_in(parts.head, "\"valid_loss\":");
    if (valid == valid) {
      run.validations.push_back(
          {whole_step, valid, is_true(parts, "\"best\":"), number_of(parts, "\"seconds\":")});
    } else {
      run.steps.push_back(step_of(whole_step, parts));
      lines.push_back(line);
    }
  }
  for (const size_t i : spread_places(lines.size())) run.steps[i].spans = spans_in(lines[i]);
  require(begin > 0, "[run] expected a configuration on the first line of {}; got an empty file",
          path.string());
  return run;
}

}  // namespace adaspan
