// SPDX-License-Identifier: MIT
// What this program was built from, for a run's record.
#pragma once

#include <string>

namespace adaspan {

struct BuildInfo {
  std::string version;   ///< "0.1.0"
  std::string git;       ///< commit, with "-dirty" when files differed from it; or "unknown"
  std::string compiler;  ///< "GNU 12.2.0"
  std::string flags;     ///< "Release: -O2"
};
const BuildInfo& build_info();

}  // namespace adaspan
