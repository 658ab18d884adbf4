// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/train/run/run.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/eval.h"
#include "app/progress_line.h"
#include "app/run_summary.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

std::atomic<bool> stop_asked = false;  // a signal handler can reach nothing else

void ask_to_stop(int) {
  stop_asked = true;
}

/// Where the run is now.
void print_result(Output& output, const Trainer& trainer) {
  const TrainingConfig& c = trainer.config();
  const Losses& losses = trainer.losses();
  const DataUnit unit = c.run.data_unit;
  const std::filesystem::path folder = std::filesystem::path(c.run.checkpoint).parent_path();
  nlohmann::ordered_json json = {{"step", trainer.steps_done()}, {"steps", c.run.steps()}};
  std::vector<std::pair<std::string, std::string>> rows = {
      {"step", fmt::format("{} of {}", trainer.steps_done(), c.run.steps())}};
  const auto add = [&](const std::string& key, const char* title, double loss) {
    if (!std::isfinite(loss)) return;
    json[key + "_loss"] = loss;
    json[key + "_" + name(unit)] = in_unit(loss, unit);
    rows.emplace_back(title, fmt::format("{:.4f} {}", in_unit(loss, unit), name(unit)));
  };
  add("train", "last step's loss", losses.training);
  add("valid", "last validation", losses.validation);
  add("best_valid", "best validation", losses.best_validation);
  json["checkpoint"] = c.run.checkpoint;
  rows.emplace_back("checkpoint", c.run.checkpoint);
  if (std::isfinite(losses.best_validation)) {
    json["best"] = (folder / "best.safetensors").string();
    rows.emplace_back("best", json["best"]);
  }
  json["metrics"] = (folder / "metrics.jsonl").string();
  rows.emplace_back("metrics", json["metrics"]);
  output.result(json, aligned(rows));
}

void train(Output& output, const Settings& settings) {
  const TrainingConfig& config = settings.training;
  const Corpus corpus = Corpus::open(config.run.data);
  Trainer trainer(config, corpus.identity(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  ProgressLine progress(output, trainer.config(), run_summary(trainer, corpus, settings.process));
  run(trainer, progress, stop_asked);
  print_result(output, trainer);
}

void check_places(const RunConfig& files) {
  require(!files.data.empty(),
          "[train] expected --data with the folder of a corpus; got none; make one with 'adaspan "
          "prepare'");
  const std::filesystem::path checkpoint = files.checkpoint;
  require(checkpoint.has_filename() && !std::filesystem::is_directory(checkpoint),
          "[train] expected --checkpoint with the name of a file; got the folder {}; use "
          "--checkpoint {}",
          files.checkpoint, (checkpoint / "checkpoint.safetensors").string());
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a model, or go on with one");
  auto output = std::make_shared<Output>();
  auto options = std::make_shared<SettingsOptions>(*command, [](const Flag&) { return true; });
  add_output(*command, *output);
  add_examples(
      *command,
      {"adaspan train --preset demo --data data/my --checkpoint runs/my/checkpoint.safetensors",
       "adaspan train --preset enwik8 --batch-split 2",
       "adaspan train --config my.toml --lr 0.01 --niter 20 --quiet --json"});
  command->callback([options, output] {
    const Settings settings = options->resolve();
    const RunConfig& files = settings.training.run;
    check_places(files);
    if (settings.full_eval_mode) {
      print_evaluation(*output, settings.process, files.checkpoint, files.data, Part::valid);
      print_evaluation(*output, settings.process, files.checkpoint, files.data, Part::test);
      return;
    }
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    train(*output, settings);
  });
}

}  // namespace adaspan::cli
