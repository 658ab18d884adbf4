// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include <fmt/core.h>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {
namespace {

std::string contents(const std::filesystem::path& path) {
  open_process();
  if (std::filesystem::is_directory(path)) return describe(Corpus::open(path));
  const SafetensorsFile file(path);
  if (file.has_checksums()) file.verify();
  return file.metadata().contains("format") ? describe(file, open_model(path)) : describe(file);
}

}  // namespace

void add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "what is in a checkpoint, a corpus or a safetensors file");
  auto path = std::make_shared<std::string>();
  command->add_option("PATH", *path, "the file, or the folder of a corpus")->required();
  command->callback([path] { fmt::print("{}", contents(*path)); });
}

}  // namespace adaspan::cli
