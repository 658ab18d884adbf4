// SPDX-License-Identifier: MIT
// The three ways to give settings: a TOML file, flags, and the JSON of a checkpoint.
#include "adaspan/train/run/settings.h"

#include <cassert>
#include <nlohmann/json.hpp>

#include "adaspan/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// Settings that were read are saved and come back the same; check() may refuse them.
void use(const Settings& settings) {
  const std::string saved = to_json(settings).dump();
  assert(to_json(settings_from_json(ordered_json::parse(saved))).dump() == saved);
  check(settings);
}

/// One "name value" a line
Settings from_flags(std::string_view lines) {
  Settings settings;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const std::string_view name = line.substr(0, line.find(' '));
    assign(settings, name, line.substr(std::min(name.size() + 1, line.size())));
  }
  return settings;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(folder / "input", input);
  allow_error([&] {
    Settings settings;
    apply_toml(settings, folder / "input");
    use(settings);
  });
  allow_error([&] { use(from_flags(input)); });
  const ordered_json json = ordered_json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded()) use(settings_from_json(json));
}

}  // namespace adaspan
