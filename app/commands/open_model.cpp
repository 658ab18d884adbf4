// SPDX-License-Identifier: MIT
#include "app/commands/open_model.h"

#include <fmt/core.h>

#include <cstdio>

namespace adaspan::cli {

LoadedModel open_model(const std::filesystem::path& path) {
  LoadedModel loaded = load_model(path);
  if (!loaded.note.empty()) fmt::print(stderr, "adaspan: {}\n", loaded.note);
  return loaded;
}

}  // namespace adaspan::cli
