// SPDX-License-Identifier: MIT
// What commands say: notes and progress, for a person, go to standard error; results to standard
// output, as text, or with --json as JSON, an object a line.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace adaspan {

class Output {
 public:
  bool json = false;   ///< results as JSON
  bool quiet = false;  ///< neither notes nor progress

  Output();
  ~Output() { end_progress(); }

  /// A line for a person, or several.
  void note(std::string_view text);

  /// Whether progress is to be shown again: it was not for a fifth of a second on a terminal, or
  /// for five seconds elsewhere.
  bool progress_due() const;
  /// How far the work is: on a terminal one line that is written over, elsewhere a line.
  void progress(std::string_view text);
  /// Leaves the line of progress as it is; whatever is said next begins a new one.
  void end_progress();

  /// More of a text that is a result, as it comes.
  void write(std::string_view text);
  /// A result: one of the two, with a new line at its end if it has none.
  void result(const nlohmann::ordered_json& as_json, std::string_view as_text);

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool line_open_ = false;
  Clock::time_point shown_{};
};

/// "name  value" a line, values below each other.
std::string aligned(const std::vector<std::pair<std::string, std::string>>& rows);

/// The rows of a table below each other: columns as wide as they must be, the first to the left.
/// Every row has as many cells as the first.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// "1,234,567"; the number is not negative
std::string with_commas(int64_t number);

/// "4:05", "1:02:03" from an hour on, "3 days 7 h" from two days on
std::string duration_text(double seconds);

}  // namespace adaspan
