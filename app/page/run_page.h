// SPDX-License-Identifier: MIT
// One HTML file of runs that needs no other: charts, settings and, for a run that was evaluated,
// its test text. All is there without script; a script adds pointing at charts and hiding runs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/runs/run_record.h"

namespace adaspan {

/// What an evaluation of the test text adds.
struct TestSection {
  std::string about;  ///< one line
  /// Names and losses in the unit, the model's first; none of those that are not installed.
  std::vector<std::pair<std::string, std::optional<double>>> losses;
  std::string unit;
  std::string sample;
};

struct PageOptions {
  std::optional<TestSection> test{};
  std::string without_test{};  ///< why there is none
  int refresh_s = 0;           ///< seconds after which the page loads itself again; 0: never
};

std::string page_of(const std::vector<RunRecord>& runs, const PageOptions& options = {});

}  // namespace adaspan
