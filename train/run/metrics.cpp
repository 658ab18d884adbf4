// SPDX-License-Identifier: MIT
#include "train/run/metrics.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/file.h"

namespace adaspan {

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
  const auto R = static_cast<double>(ramp), S = static_cast<double>(span_limit);
  return {std::min(S, std::ceil(sum / std::max(heads, 1.0)) + R),
          std::min(S, std::ceil(largest) + R)};
}

MetricsFile::MetricsFile(const std::filesystem::path& path, int64_t steps_done) : path_(path) {
  std::string kept;
  if (steps_done > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(read_text(path));
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (json.is_object() && json.value("step", int64_t{0}) <= steps_done) kept += line + "\n";
    }
  }
  fresh_ = kept.empty();
  make_folder_of(path);
  atomic_write(path, kept);
  file_ = std::fopen(path.c_str(), "a");
  require(file_ != nullptr, "[metrics] expected to write {}; got: {}", path.string(),
          std::strerror(errno));
}

MetricsFile::~MetricsFile() {
  std::fclose(file_);
}

void MetricsFile::write(const nlohmann::ordered_json& line) {
  const std::string text = line.dump() + "\n";
  const bool whole = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
  require(whole && std::fflush(file_) == 0,
          "[metrics] expected to write {}; got: {}; free some space and run the same command again",
          path_.string(), std::strerror(errno));
  fresh_ = false;
}

}  // namespace adaspan
