// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/train/run/memory_check.h"
#include "adaspan/train/run/run.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/eval.h"
#include "app/commands/open_model.h"
#include "app/page/fresh_page.h"
#include "app/progress_line.h"
#include "app/run_places.h"
#include "app/run_summary.h"
#include "app/settings_options.h"
#include "app/several_observers.h"
#include "app/signals.h"
#include "app/tensorboard.h"

namespace adaspan::cli {
namespace {

/// Where the run is now.
void print_result(Output& output, const Trainer& trainer) {
  const TrainingConfig& c = trainer.config();
  const Losses& losses = trainer.losses();
  const DataUnit unit = c.run.data_unit;
  const std::filesystem::path folder = std::filesystem::path(c.run.checkpoint).parent_path();
  nlohmann::ordered_json json = {{"step", trainer.steps_done()}, {"steps", c.run.steps()}};
  std::vector<std::pair<std::string, std::string>> rows = {
      {"step", fmt::format("{} of {}", trainer.steps_done(), c.run.steps())}};
  const std::string stage = stage_text(c, trainer.steps_done());
  if (!stage.empty()) {
    json["stage"] = stage;
    rows.emplace_back("stage", stage);
  }
  const auto add = [&](const std::string& key, const char* title, double loss) {
    if (!std::isfinite(loss)) return;
    json[key + "_loss"] = loss;
    json[key + "_" + name(unit)] = in_unit(loss, unit);
    rows.emplace_back(title, fmt::format("{:.4f} {}", in_unit(loss, unit), name(unit)));
  };
  if (const int64_t skips = trainer.guard().state().skips; skips > 0) {
    json["skips"] = skips;
    rows.emplace_back("skipped", fmt::format("{} steps, which diverged", skips));
  }
  if (trainer.steps_done() < c.run.steps() && trainer.out_of_patience()) {
    json["ended_early"] = true;
    rows.emplace_back("ended early", fmt::format("no better validation in {}", c.run.patience));
  }
  add("train", "last step's loss", losses.training);
  add("valid", "last validation", losses.validation);
  add("best_valid", "best validation", losses.best_validation);
  json["reading"] = trainer.data().reading;
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

void check_place(const std::filesystem::path& checkpoint) {
  require(checkpoint.has_filename() && !std::filesystem::is_directory(checkpoint),
          "[train] expected --checkpoint with the name of a file; got the folder {}; use "
          "--checkpoint {}",
          checkpoint.string(), (checkpoint / "checkpoint.safetensors").string());
}

void train(Output& output, Settings settings) {
  TrainingConfig& config = settings.training;
  require(!config.run.data.empty(),
          "[train] expected --data with the folder of a corpus; got none; make one with 'adaspan "
          "prepare'");
  if (!config.run.checkpoint.empty()) check_place(config.run.checkpoint);
  require(settings.preset.empty() || std::filesystem::exists(corpus_record_path(config.run.data)),
          "[train] expected a corpus in {}, as preset {} or --data says; got none; "
          "scripts/get-data fetches the texts of the papers, ./quickstart makes data/gcide, and "
          "'adaspan prepare' a corpus of a text of yours",
          config.run.data, settings.preset);
  if (!config.run.init_from.empty()) {
    config.run.init_from = choose_checkpoint(output, config.run.init_from).string();
  }
  const Corpus corpus = Corpus::open(config.run.data);
  require(!config.model.adaptive_io.on || corpus.record().order != VocabularyOrder::first_seen,
          "[train] expected a corpus whose ids go by falling count, as --adapt-io needs it to "
          "cut them into clusters; got ids as first seen in {}; prepare it with --order "
          "falling_count",
          config.run.data);
  if (config.run.checkpoint.empty()) {
    config.run.checkpoint =
        default_checkpoint(settings.preset, config.run.data, corpus.identity()).string();
  }
  if (settings.full_eval_mode) {
    for (const Part part : {Part::valid, Part::test}) {
      EvaluationArguments arguments;
      arguments.checkpoint = config.run.checkpoint;
      arguments.data = config.run.data;
      arguments.part = part;
      print_evaluation(output, settings.process, arguments);
    }
    return;
  }
  std::optional<TensorBoardLog> tensorboard;
  if (!settings.tensorboard.empty()) tensorboard.emplace(output, settings.tensorboard, config);
  outlive_pipes();
  stop_on_signals(
      "\nadaspan: will stop after this step and save; again to end at once, without saving\n");
  TrainingConfig known = config;
  known.model.vocabulary = corpus.identity().vocabulary;
  check(known);
  const std::string memory_note = require_run_memory(known);
  if (!memory_note.empty()) output.note(memory_note);
  Trainer trainer(config, corpus.identity(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  ProgressLine progress(output, trainer.config(), run_summary(trainer, corpus, settings.process));
  SeveralObservers observers;
  observers.add(progress);
  if (tensorboard) observers.add(*tensorboard);
  std::optional<FreshPage> page;
  if (settings.report_every > 0) {
    const std::filesystem::path folder =
        std::filesystem::path(trainer.config().run.checkpoint).parent_path();
    page.emplace(output, folder.empty() ? "." : folder, settings.report_every);
    observers.add(*page);
  }
  bool to_the_end = false;
  try {
    to_the_end = run(trainer, observers, stop_asked());
  } catch (...) {
    if (page) page->finish();
    throw;
  }
  if (page) page->finish();
  print_result(output, trainer);
  if (!to_the_end) throw Exit{exit_code_of_stop()};
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
       "adaspan train --preset demo --data data/my --tensorboard tb/my",
       "adaspan train --config my.toml --lr 0.01 --niter 20 --quiet --json",
       "adaspan train --preset demo --data data/my --stages 40r,5r@0.1"});
  command->callback([options, output] { train(*output, options->resolve(*output)); });
}

}  // namespace adaspan::cli
