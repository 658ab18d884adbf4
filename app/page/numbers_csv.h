// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "app/runs/run_record.h"

namespace adaspan {

/// All numbers of the runs, a line for each step and each validation; what a line lacks is empty.
/// Spans are those that read_run has read: "span_LAYER_HEAD", z in steps.
std::string csv_of(const std::vector<RunRecord>& runs);

}  // namespace adaspan
