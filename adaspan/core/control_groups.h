// SPDX-License-Identifier: MIT
// What the system lets this process have of the machine: control groups, which containers, batch
// systems and services are limited by (Linux; versions 1 and 2, also both at once).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace adaspan {

/// What the control groups that this process is in leave it; nothing where there is no limit.
struct GroupLimits {
  std::optional<double> processors;    ///< the least quota / period of all groups around it
  std::optional<int64_t> free_memory;  ///< the least limit - usage, bytes; pages of files that
                                       ///< nobody has used lately can be had and count as free
};

/// As the files below `root` tell; what cannot be read or makes no sense is no limit.
GroupLimits group_limits(const std::filesystem::path& root = "/");

}  // namespace adaspan
