// SPDX-License-Identifier: MIT
// The charts of runs: each number in them stands in the runs' records, or follows from one.
#pragma once

#include <string>
#include <vector>

#include "app/charts/svg.h"
#include "app/runs/run_record.h"

namespace adaspan {

enum class ChartGroup { loss, spans, cost, training };

struct RunChart {
  ChartGroup group;
  NamedChart chart;
  std::string caption;  ///< HTML
  std::string numbers;  ///< HTML: a table
};

struct RunCharts {
  std::vector<RunChart> charts;
  std::vector<std::string> missing;  ///< lines that say what there is no chart of, and why
};

/// Of one run or several, in their order; lines of one run look alike in all charts. Heads are
/// drawn of the first `most_heads` runs.
RunCharts charts_of(const std::vector<RunRecord>& runs, size_t most_heads = 4);

/// Of the last line with spans: tokens that each head looks back; none where there is no such line.
std::vector<std::vector<double>> last_reaches(const RunRecord& run);

/// Names of runs, each once: the folder's, with its parents' where two are the same.
std::vector<std::string> names_of(const std::vector<RunRecord>& runs);

}  // namespace adaspan
