// SPDX-License-Identifier: MIT
#include "adaspan/train/run/run.h"

#include <fmt/core.h>

#include <atomic>
#include <csignal>
#include <cstdio>

#include "adaspan/core/error.h"
#include "adaspan/train/run/memory_check.h"
#include "app/commands/commands.h"
#include "app/commands/eval.h"
#include "app/progress_line.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

std::atomic<bool> stop_asked = false;  // a signal handler can reach nothing else

void ask_to_stop(int) {
  stop_asked = true;
}

void train(const TrainingConfig& config) {
  const Corpus corpus = Corpus::open(config.run.data);
  TrainingConfig known = config;
  known.model.vocabulary = corpus.identity().vocabulary;
  const std::string note = require_run_memory(known);
  if (!note.empty()) fmt::print(stderr, "adaspan: {}\n", note);
  Trainer trainer(config, corpus.identity(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  ProgressLine progress(trainer.config());
  run(trainer, progress, stop_asked);
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a model, or go on with one");
  auto options = std::make_shared<SettingsOptions>(*command);
  command->callback([options] {
    const Settings settings = options->resolve();
    const RunConfig& files = settings.training.run;
    require(!files.data.empty(),
            "[train] expected --data with the folder of a corpus; got none; make one with 'adaspan "
            "prepare'");
    if (settings.full_eval_mode) {
      print_evaluation(files.checkpoint, files.data, Part::valid);
      print_evaluation(files.checkpoint, files.data, Part::test);
      return;
    }
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    train(settings.training);
  });
}

}  // namespace adaspan::cli
