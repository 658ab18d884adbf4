// SPDX-License-Identifier: MIT
#include "app/tensorboard.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/core/sha256.h"
#include "adaspan/train/run/metrics.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBeginning = "events.out.tfevents.";

double now() {
  const std::chrono::duration<double> since = std::chrono::system_clock::now().time_since_epoch();
  return since.count();
}

/// All event files, in the order in which TensorBoard reads them.
std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code none_there;
  for (const auto& entry : fs::directory_iterator(folder, none_there)) {
    const fs::path& path = entry.path();
    const bool events = path.filename().string().find("tfevents") != std::string::npos;
    if (events && path.extension() != ".tmp") files.push_back(path);  // of a write that failed
  }
  std::ranges::sort(files);
  return files;
}

fs::path nearest_existing(fs::path path) {
  path = fs::absolute(path).lexically_normal();
  while (!fs::exists(path) && path != path.parent_path()) path = path.parent_path();
  return path;
}

}  // namespace

TensorBoardLog::TensorBoardLog(Output& output, fs::path folder, const TrainingConfig& config)
    : output_(output), folder_(std::move(folder)), config_(config) {
  check_folder();
}

TensorBoardLog::~TensorBoardLog() {
  if (file_ != nullptr) std::fclose(file_);
}

/// Which run a file is of, in its name: the first letters of the hash of where the checkpoint is.
std::string TensorBoardLog::own_ending() const {
  const std::string place = fs::weakly_canonical(config_.run.checkpoint).string();
  return ".adaspan-" + sha256(std::as_bytes(std::span(place))).substr(0, 8);
}

void TensorBoardLog::check_folder() const {
  const fs::path existing = nearest_existing(folder_);
  require(fs::is_directory(existing) && ::access(existing.c_str(), W_OK | X_OK) == 0,
          "[tensorboard] expected --tensorboard with a folder to write to; got {}, where {} is {}; "
          "choose another",
          folder_.string(), existing.string(),
          fs::is_directory(existing) ? "not writable" : "a file");
  for (const fs::path& file : event_files(folder_)) {
    require(file.string().ends_with(own_ending()),
            "[tensorboard] expected a folder for the run of {} alone; got {}, which has {} of "
            "another one; choose another folder, or one in it",
            config_.run.checkpoint, folder_.string(), file.filename().string());
  }
}

void TensorBoardLog::started(const std::optional<Resumption>&,
                             const nlohmann::ordered_json& entry) {
  const int64_t step = entry.at("step").get<int64_t>();
  drop_steps_after(step);
  open(step);
}

void TensorBoardLog::drop_steps_after(int64_t step) const {
  for (const fs::path& file : event_files(folder_)) {
    const std::string before = read_text(file), kept = records_up_to(before, step);
    if (step == 0) {
      fs::remove(file);  // of a run that ended before it had saved anything
    } else if (kept != before) {
      atomic_write(file, kept);
    }
  }
}

void TensorBoardLog::open(int64_t step) {
  make_folder_of(folder_ / "file");
  const std::vector<fs::path> before = event_files(folder_);
  auto second = static_cast<int64_t>(now());
  if (!before.empty()) {  // TensorBoard reads them by name
    const std::string name = before.back().filename().string();
    second = std::max<int64_t>(second, std::atoll(name.c_str() + std::strlen(kBeginning)) + 1);
  }
  path_ = folder_ / fmt::format("{}{:010}{}", kBeginning, second, own_ending());
  file_ = std::fopen(path_.c_str(), "wb");
  require(file_ != nullptr, "[tensorboard] expected to write {}; got: {}; choose another folder",
          path_.string(), std::strerror(errno));
  write(first_record(now()) + session_record(now(), step + 1));
}

void TensorBoardLog::write(const std::string& record) {
  if (file_ == nullptr) return;
  const bool whole = std::fwrite(record.data(), 1, record.size(), file_) == record.size();
  if (whole && std::fflush(file_) == 0) return;
  output_.note(fmt::format("{} cannot be written any more: {}; the run goes on without it",
                           path_.string(), std::strerror(errno)));
  std::fclose(std::exchange(file_, nullptr));
}

void TensorBoardLog::stepped(const StepReport& report, double tokens_per_second) {
  const RunConfig& run = config_.run;
  if (!is_logged(report, run)) return;
  EventSummary summary;
  summary.add_scalar(std::string(name(run.data_unit)) + "/train",
                     in_unit(report.loss, run.data_unit));
  summary.add_scalar("learning_rate", report.learning_rate);
  summary.add_scalar("gradient/norm", report.gradient_norm);
  summary.add_scalar("gradient/clipped", report.clipped);
  summary.add_scalar("tokens_per_s", tokens_per_second);
  const SpanSummary spans =
      summarise_spans(report.mean_z, config_.model.ramp, config_.model.span_limit);
  summary.add_scalar("span/mean", spans.mean);
  summary.add_scalar("span/max", spans.max);
  for (size_t l = 0; l < report.mean_z.size(); ++l) {
    summary.add_histogram(fmt::format("spans/layer_{}", l), report.mean_z[l]);
  }
  write(summary_record(now(), report.step, summary));
}

void TensorBoardLog::validated(const ValidationReport& report) {
  EventSummary summary;
  summary.add_scalar(std::string(name(config_.run.data_unit)) + "/valid",
                     in_unit(report.loss, config_.run.data_unit));
  write(summary_record(now(), report.step, summary));
}

}  // namespace adaspan
