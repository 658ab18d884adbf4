// SPDX-License-Identifier: MIT
// The three ways to give settings: a TOML file, flags, and the JSON of a checkpoint.
#include "app/settings.h"

#include <cassert>
#include <nlohmann/json.hpp>

#include "adaspan/core/file.h"
#include "adaspan/train/run/config_record.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// A configuration that was read is saved and comes back the same; check() may refuse it.
void use(const TrainingConfig& config) {
  const std::string saved = to_json(config).dump();
  assert(to_json(config_from_json(ordered_json::parse(saved))).dump() == saved);
  check(config);
}

/// One "name value" a line
SettingTexts from_flags(std::string_view lines) {
  SettingTexts texts;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const std::string_view name = line.substr(0, line.find(' '));
    give(texts, std::string(name),
         std::string(line.substr(std::min(name.size() + 1, line.size()))));
  }
  return texts;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(folder / "input", input);
  allow_error([&] {
    SettingTexts texts;
    give_toml(texts, folder / "input");
    use(settings_of(texts).training);
  });
  allow_error([&] { use(settings_of(from_flags(input)).training); });
  const ordered_json json = ordered_json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded()) use(config_from_json(json));
}

}  // namespace adaspan
