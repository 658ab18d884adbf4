// SPDX-License-Identifier: MIT
#include "adaspan/train/run/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/shallow_json.h"
#include "adaspan/ops/span_mask.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// Calls visit(text, json) for each line that is whole and has a step.
template <class Visit>
void for_each_line(const std::filesystem::path& path, const Visit& visit) {
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line);) {
    ordered_json json = shallow_json(line);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer()) {
      visit(line, std::move(json));
    }
  }
}

/// Those of its clock; 0 where it has none.
double seconds_of(const ordered_json& line) {
  if (!line.contains("clock") || !line["clock"].is_object()) return 0;
  const ordered_json& clock = line["clock"];
  return clock.contains("seconds") && clock["seconds"].is_number() ? clock["seconds"].get<double>()
                                                                   : 0;
}

/// JSON has no infinity and no NaN: null, which is what a reader of the line then finds.
ordered_json number(double x) {
  return std::isfinite(x) ? ordered_json(x) : ordered_json();
}

template <class T>
ordered_json numbers(const std::vector<std::vector<T>>& rows) {
  ordered_json json = ordered_json::array();
  for (const auto& row : rows) {
    ordered_json& line = json.emplace_back(ordered_json::array());
    for (T x : row) line.push_back(std::isfinite(x) ? ordered_json(x) : ordered_json());
  }
  return json;
}

}  // namespace

SpanSummary summarise_spans(const std::vector<std::vector<float>>& spans, int64_t ramp,
                            int64_t span_limit) {
  double sum = 0, largest = 0, heads = 0;
  for (const auto& layer : spans) {
    for (float z : layer) {
      sum += z;
      largest = std::max<double>(largest, z);
      heads += 1;
    }
  }
  const auto reach = [&](double z) { return static_cast<double>(span_reach(z, ramp, span_limit)); };
  return {reach(sum / std::max(heads, 1.0)), reach(largest)};
}

ordered_json configuration_line(const Trainer& trainer) {
  const DataIdentity& data = trainer.data();
  return {{"configuration", to_json(trainer.config())},
          {"step", trainer.steps_done()},
          {"data", {{"vocabulary", data.vocabulary}, {"reading", data.reading}}}};
}

ordered_json step_line(const StepReport& report, const TrainingConfig& config) {
  const DataUnit unit = config.run.data_unit;
  const SpanSummary spans =
      summarise_spans(report.mean_z, config.model.ramp, config.model.span_limit);
  ordered_json line = {{"step", report.step},
                       {"loss", number(report.loss)},
                       {name(unit), number(in_unit(report.loss, unit))},
                       {"span_loss", number(report.span_loss)},
                       {"lr", report.learning_rate},
                       {"grad_norm", number(report.gradient_norm)},
                       {"clipped", report.clipped},
                       {"span_mean", spans.mean},
                       {"span_max", spans.max},
                       {"spans", numbers(report.mean_z)}};
  if (!report.span_gradients.empty()) {
    line["span_gradient_loss"] = numbers(report.span_gradients);
    line["span_gradient_penalty"] = report.span_penalty;
  }
  if (report.skipped) line["skipped"] = true;
  if (report.skips > 0) line["skips"] = report.skips;
  if (config.schedule.stages.size() > 1) line["stage"] = config.stage_at(report.step).index + 1;
  return line;
}

ordered_json validation_line(const ValidationReport& report, const TrainingConfig& config) {
  const DataUnit unit = config.run.data_unit;
  ordered_json line = {{"step", report.step},
                       {"valid_loss", report.loss},
                       {std::string("valid_") + name(unit), in_unit(report.loss, unit)},
                       {"best", report.best}};
  if (config.run.patience > 0) line["without_best"] = report.without_best;
  return line;
}

bool ends_round(int64_t step, const RunConfig& run) {
  return step % run.steps_per_round == 0 || step == run.steps();
}

bool is_logged(const StepReport& report, const RunConfig& run) {
  return report.skipped || report.step % run.log_steps == 0 || ends_round(report.step, run);
}

ordered_json to_json(const RunClock& clock) {
  ordered_json json = {{"seconds", clock.seconds}, {"memory_mb", clock.memory_mb}};
  if (clock.tokens_per_s > 0) json["tokens_per_s"] = clock.tokens_per_s;
  return json;
}

std::vector<ordered_json> read_metrics(const std::filesystem::path& path) {
  std::vector<ordered_json> all;
  for_each_line(path,
                [&](const std::string&, ordered_json json) { all.push_back(std::move(json)); });
  return all;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t steps_done) : path_(path) {
  std::string kept;
  if (steps_done > 0 && std::filesystem::exists(path)) {
    for_each_line(path, [&](const std::string& text, const ordered_json& line) {
      // A configuration is that of the steps after its own.
      const bool of_later = line.contains("configuration") && line["step"] == steps_done;
      if (line["step"] > steps_done || of_later) return;
      kept += text + "\n";
      seconds_before_ = std::max(seconds_before_, seconds_of(line));
    });
  }
  fresh_ = kept.empty();
  make_folder_of(path);
  atomic_write(path, kept);
  open();
}

void MetricsFile::open() {
  file_ = std::fopen(path_.c_str(), "a+");
  if (file_ == nullptr) fail_write();
}

void MetricsFile::make_again() {
  std::string lines;  // of the file that has no name any more
  std::rewind(file_);
  std::array<char, 1 << 16> part;
  for (size_t n; (n = std::fread(part.data(), 1, part.size(), file_)) > 0;) {
    lines.append(part.data(), n);
  }
  make_folder_of(path_);
  atomic_write(path_, lines);
  std::fclose(std::exchange(file_, nullptr));
  open();
}

MetricsFile::~MetricsFile() {
  if (file_ != nullptr) std::fclose(file_);
}

void MetricsFile::write(const ordered_json& line) {
  const std::string text = line.dump() + "\n";
  const bool whole = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
  if (!whole || std::fflush(file_) != 0) fail_write();
  fresh_ = false;
}

void MetricsFile::flush_to_disk() {
  if (!std::filesystem::exists(path_)) make_again();
  if (::fsync(::fileno(file_)) != 0) fail_write();
}

void MetricsFile::fail_write() const {
  fail("[metrics] expected to write {}; got: {}; free some space and run the same command again",
       path_.string(), std::strerror(errno));
}

}  // namespace adaspan
