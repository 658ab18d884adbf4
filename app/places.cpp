// SPDX-License-Identifier: MIT
#include "app/places.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "app/suggestion.h"

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

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(data_folder() / "presets")) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path preset_path(const std::string& name) {
  const std::vector<std::string> names = preset_names();
  require(std::ranges::find(names, name) != names.end(),
          "[settings] expected the name of a preset; got \"{}\"{}; there are: {}", name,
          did_you_mean(name, names), fmt::join(names, ", "));
  return data_folder() / "presets" / (name + ".toml");
}

PresetNotes preset_notes(const std::string& name) {
  std::istringstream lines(read_text(preset_path(name)));
  std::string text;
  for (std::string line; std::getline(lines, line) && line.starts_with("# ");) {
    if (line.find("SPDX") != std::string::npos) continue;
    text += (text.empty() ? "" : " ") + line.substr(2);
  }
  const size_t expect = std::min(text.find("Expect"), text.size());
  PresetNotes notes{text.substr(0, expect), text.substr(expect)};
  while (notes.about.ends_with(' ')) notes.about.pop_back();
  return notes;
}

}  // namespace adaspan
