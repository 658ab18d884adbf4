// SPDX-License-Identifier: MIT
// How much memory this process may still take, so that a program can say in time that it needs
// more: without that the system gives what it does not have, and ends the process later.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace adaspan {

enum class MemoryLimit {
  machine,        ///< what the system has without swapping (MemAvailable)
  control_group,  ///< what the control groups around the process leave it
  given,          ///< what somebody says in their place: of another machine
  addresses       ///< RLIMIT_AS (ulimit -v) less what is mapped, much of which is never touched
};

/// For messages: "what its control group leaves".
const char* name(MemoryLimit limit);

struct FreeMemory {
  MemoryLimit limit;
  int64_t bytes;  ///< that this process may still take, at least 0
};

/// Each limit there is, as the files below `root` tell; what cannot be read is no limit.
std::vector<FreeMemory> free_memory(const std::filesystem::path& root = "/");

/// The memory that this process has now; 0 where it cannot be read.
int64_t resident_bytes(const std::filesystem::path& root = "/");

}  // namespace adaspan
