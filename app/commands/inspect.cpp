// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"

namespace adaspan::cli {
namespace {

struct InspectArguments {
  Output output;
  std::string path;
  Weights weights = Weights::last;
};

nlohmann::ordered_json contents(Output& output, const std::filesystem::path& path,
                                Weights weights) {
  namespace fs = std::filesystem;
  // Any other folder may be the one of a run, and is told as one.
  if (fs::exists(path / "corpus.json")) return describe(Corpus::open(path));
  open_process();
  const SafetensorsFile file(choose_checkpoint(output, path));
  if (file.has_checksums()) file.verify();
  return file.metadata().contains("format")
             ? describe(file, open_model(output, file.path(), weights))
             : describe(file);
}

}  // namespace

void add_inspect(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("inspect", "what is in a checkpoint, a corpus or a safetensors file");
  auto options = std::make_shared<InspectArguments>();
  add_word(*command, "PATH", options->path, "FILE", "the file, or the folder of a corpus or run");
  add_weights(*command, options->weights);
  add_output(*command, options->output);
  add_examples(*command, {"adaspan inspect runs/demo/checkpoint.safetensors",
                          "adaspan inspect data/gcide --json"});
  command->callback([options] {
    const nlohmann::ordered_json description =
        contents(options->output, options->path, options->weights);
    options->output.result(description, description_text(description));
  });
}

}  // namespace adaspan::cli
