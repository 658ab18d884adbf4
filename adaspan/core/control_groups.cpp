// SPDX-License-Identifier: MIT
#include "adaspan/core/control_groups.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace adaspan {
namespace {

namespace fs = std::filesystem;

/// A hierarchy of groups, as it is mounted here.
struct Mount {
  bool unified;         ///< version 2, which has all controllers
  std::string options;  ///< of version 1: ",rw,cpu,cpuacct,"
  std::string base;     ///< the group whose folder `folder` is
  fs::path folder;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream words(line);
  return {std::istream_iterator<std::string>(words), {}};
}

/// Of a path in mountinfo, which writes a blank as \040.
std::string unescaped(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size() &&
                        text.find_first_not_of("01234567", i + 1) >= i + 4;
    result += escape ? static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (escape) i += 3;
  }
  return result;
}

/// Lines of proc(5) mountinfo: id parent device base folder options [tags] - type source options
std::vector<Mount> mounts(const fs::path& root) {
  std::vector<Mount> all;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (dash - words.begin() < 6 || words.end() - dash < 4) continue;
    const std::string& type = dash[1];
    if (type != "cgroup" && type != "cgroup2") continue;
    all.push_back({type == "cgroup2", "," + dash[3] + ",", unescaped(words[3]),
                   root / fs::path(unescaped(words[4])).relative_path()});
  }
  return all;
}

/// The folders of the process's group for `controller` and of all groups around it, innermost
/// first. `path` is the group's name in its hierarchy, `mount` shows a part of that.
std::vector<fs::path> groups_around(const Mount& mount, std::string path) {
  if (mount.base != "/" && (path + "/").starts_with(mount.base + "/")) {
    path.erase(0, mount.base.size());
  } else if (mount.base != "/") {
    path = "/";  // the group lies outside of what is mounted here
  }
  fs::path inner = fs::path(path).relative_path().lexically_normal();
  if (inner.begin() != inner.end() && *inner.begin() == "..") inner.clear();  // outside, too
  std::vector<fs::path> all;
  std::error_code ignored;
  for (; !inner.empty(); inner = inner.parent_path()) {
    if (fs::is_directory(mount.folder / inner, ignored)) all.push_back(mount.folder / inner);
  }
  all.push_back(mount.folder);
  return all;
}

/// Calls visit(folder, unified) for each group around this process that `controller` limits.
template <class Visit>
void for_each_group(const fs::path& root, const std::string& controller, const Visit& visit) {
  const std::vector<Mount> all = mounts(root);
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // number:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    const std::string wanted = "," + controller + ",";
    if (!unified && controllers.find(wanted) == std::string::npos) continue;
    for (const Mount& mount : all) {
      if (mount.unified != unified) continue;
      if (!unified && mount.options.find(wanted) == std::string::npos) continue;
      for (const fs::path& group : groups_around(mount, line.substr(second + 1))) {
        visit(group, unified);
      }
      break;  // mounted twice, it is still one hierarchy
    }
  }
}

/// The numbers that a file begins with; "max" ends them.
std::vector<double> numbers_in(const fs::path& path) {
  std::ifstream file(path);
  return {std::istream_iterator<double>(file), {}};
}

/// The number after `key` in a file of lines "key number"; 0 where there is none.
double number_of(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (double number = 0; file >> word >> number;) {
    if (word == key) return number;
  }
  return 0;
}

template <class T>
void lower(std::optional<T>& least, T value) {
  if (!least || value < *least) least = value;
}

}  // namespace

GroupLimits group_limits(const fs::path& root) {
  GroupLimits limits;
  for_each_group(root, "cpu", [&](const fs::path& group, bool unified) {
    std::vector<double> quota = numbers_in(group / (unified ? "cpu.max" : "cpu.cfs_quota_us"));
    if (!unified && quota.size() == 1) {
      const std::vector<double> period = numbers_in(group / "cpu.cfs_period_us");
      quota.insert(quota.end(), period.begin(), period.end());
    }
    if (quota.size() == 2 && quota[0] > 0 && quota[1] > 0) {
      lower(limits.processors, quota[0] / quota[1]);
    }
  });
  for_each_group(root, "memory", [&](const fs::path& group, bool unified) {
    const auto limit = numbers_in(group / (unified ? "memory.max" : "memory.limit_in_bytes"));
    const auto usage = numbers_in(group / (unified ? "memory.current" : "memory.usage_in_bytes"));
    constexpr double kNone = 1e18;  // version 1 writes the largest page number for no limit
    if (limit.size() != 1 || usage.size() != 1 || limit[0] >= kNone) return;
    const char* key = unified ? "inactive_file" : "total_inactive_file";
    const double used = std::max(0.0, usage[0] - number_of(group / "memory.stat", key));
    lower(limits.free_memory, static_cast<int64_t>(std::max(0.0, limit[0] - used)));
  });
  return limits;
}

}  // namespace adaspan
