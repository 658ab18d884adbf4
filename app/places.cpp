// SPDX-License-Identifier: MIT
#include "app/places.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace fs = std::filesystem;

fs::path data_folder() {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* way : {ADASPAN_INSTALLED_DATA, ADASPAN_SOURCE_DATA}) {
    const fs::path folder = (here / way).lexically_normal();
    if (fs::is_directory(folder / "presets")) return folder;
  }
  fail("[data] expected presets/ in " ADASPAN_INSTALLED_DATA
       ", seen from the program; got nothing there, and the program is in {}; move an installed "
       "program together with its share/ folder",
       here.string());
}

fs::path preset_path(const std::string& name) {
  const fs::path folder = data_folder() / "presets";
  const fs::path path = folder / (name + ".toml");
  if (name.find('/') == std::string::npos && fs::is_regular_file(path)) return path;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  fail("[settings] expected the name of a preset; got \"{}\"; there are: {}", name,
       fmt::join(names, ", "));
}

}  // namespace adaspan
