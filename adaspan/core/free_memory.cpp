// SPDX-License-Identifier: MIT
#include "adaspan/core/free_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

#include "adaspan/core/control_groups.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;

/// "MemAvailable:   22956056 kB"
std::optional<int64_t> available(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    const std::string key = "MemAvailable:";
    if (!line.starts_with(key)) continue;
    return std::strtoll(line.c_str() + key.size(), nullptr, 10) * 1024;
  }
  return std::nullopt;
}

/// Field number `field` of proc/self/statm, pages, in bytes: 0 is mapped, 1 resident.
std::optional<int64_t> size_of_process(const fs::path& root, int field) {
  std::ifstream file(root / "proc/self/statm");
  int64_t pages = 0;
  for (int i = 0; i <= field; ++i) {
    if (!(file >> pages)) return std::nullopt;
  }
  return pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace

const char* name(MemoryLimit limit) {
  switch (limit) {
    case MemoryLimit::machine:
      return "the free memory of this machine";
    case MemoryLimit::control_group:
      return "what its control group leaves";
    case MemoryLimit::given:
      return "what was given";
    case MemoryLimit::addresses:
      break;
  }
  return "what the limit of addresses (ulimit -v) leaves";
}

std::vector<FreeMemory> free_memory(const fs::path& root) {
  std::vector<FreeMemory> all;
  const auto add = [&](MemoryLimit limit, std::optional<int64_t> bytes) {
    if (bytes) all.push_back({limit, std::max<int64_t>(0, *bytes)});
  };
  add(MemoryLimit::machine, available(root));
  add(MemoryLimit::control_group, group_limits(root).free_memory);
  rlimit limit{};
  const auto mapped = size_of_process(root, 0);
  if (mapped && ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < rlim_t{1} << 62) {
    add(MemoryLimit::addresses, static_cast<int64_t>(limit.rlim_cur) - *mapped);
  }
  return all;
}

int64_t resident_bytes(const fs::path& root) {
  return size_of_process(root, 1).value_or(0);
}

}  // namespace adaspan
