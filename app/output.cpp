// SPDX-License-Identifier: MIT
#include "app/output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace adaspan {
namespace {

/// Nobody may read it any more: no reason to end what is under way. main() looks at standard output
/// when all is done.
void say(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

}  // namespace

Output::Output() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void Output::note(std::string_view text) {
  if (quiet) return;
  end_progress();
  say(stderr, fmt::format("{}{}", text, text.ends_with('\n') ? "" : "\n"));
}

bool Output::progress_due() const {
  const std::chrono::duration<double> since = Clock::now() - shown_;
  return !quiet && since.count() >= (terminal_ ? 0.2 : 5.0);
}

void Output::progress(std::string_view text) {
  if (quiet) return;
  shown_ = Clock::now();
  const bool same_line = terminal_;
  say(stderr, fmt::format("{}{}{}", same_line ? "\r" : "", text, same_line ? "\033[K" : "\n"));
  line_open_ = terminal_;
}

void Output::end_progress() {
  if (line_open_) say(stderr, "\n");
  line_open_ = false;
}

void Output::write(std::string_view text) {
  say(stdout, text);
  std::fflush(stdout);
}

void Output::result(const nlohmann::ordered_json& as_json, std::string_view as_text) {
  end_progress();
  // Text that is no UTF-8, as of a model that writes bytes, cannot be JSON as it is.
  constexpr auto replace = nlohmann::ordered_json::error_handler_t::replace;
  const std::string text = json ? as_json.dump(-1, ' ', false, replace) : std::string(as_text);
  say(stdout, text);
  if (!text.ends_with('\n')) say(stdout, "\n");
  std::fflush(stdout);
}

std::string aligned(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [name, value] : rows) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : rows) text += fmt::format("{:<{}}  {}\n", name, width, value);
  return text;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.empty() ? 0 : rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) {
      text += i == 0 ? fmt::format("  {:<{}}", row[i], widths[i])
                     : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    text += "\n";
  }
  return text;
}

std::string with_commas(int64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  const int64_t hours = (whole + 1800) / 3600;
  if (hours >= 48) return fmt::format("{} days {} h", hours / 24, hours % 24);
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace adaspan
