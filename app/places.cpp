// SPDX-License-Identifier: MIT
#include "app/places.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
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

namespace {

/// The number that stands after `before` in a text; 0 if none does.
int64_t number_after(const std::string& text, const std::string& before) {
  const size_t at = text.find(before);
  return at == text.npos ? 0 : std::strtoll(text.c_str() + at + before.size(), nullptr, 10);
}

}  // namespace

PresetNotes preset_notes(const std::string& name) {
  return notes_of_preset(read_text(preset_path(name)));
}

PresetNotes notes_of_preset(const std::string& file) {
  std::istringstream lines(file);
  std::string text, figures;
  for (std::string line; std::getline(lines, line) && line.starts_with("# ");) {
    if (line.find("SPDX") != std::string::npos) continue;
    if (line.starts_with("# Vocabulary ")) {
      figures = line;
      continue;
    }
    text += (text.empty() ? "" : " ") + line.substr(2);
  }
  const size_t expect = std::min(text.find("Expect"), text.size());
  PresetNotes notes{.about = text.substr(0, expect),
                    .expect = text.substr(expect),
                    .vocabulary = number_after(figures, "Vocabulary "),
                    .mean_span = number_after(figures, "mean span ")};
  if (const size_t flops = figures.find("M FLOPS"); flops != figures.npos) {
    const size_t number = figures.find_last_not_of("0123456789.", flops - 1) + 1;
    notes.flops = 1e6 * std::strtod(figures.c_str() + number, nullptr);
  }
  while (notes.about.ends_with(' ')) notes.about.pop_back();
  return notes;
}

}  // namespace adaspan
