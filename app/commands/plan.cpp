// SPDX-License-Identifier: MIT
#include "app/plan.h"

#include <fmt/core.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/models/span.h"
#include "adaspan/train/data/corpus.h"
#include "app/bench/bench_step.h"
#include "app/bench/steady_training.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/places.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

using Spans = std::vector<std::vector<float>>;

struct PlanOptions {
  Output output;
  std::string spans, memory;
  int64_t vocabulary = 0;
  bool no_timing = false;
  std::unique_ptr<SettingsOptions> settings;
};

/// What the run would learn of its corpus, and from where that is known.
struct Data {
  int64_t vocabulary = 0, valid_tokens = 0;
  std::string source;
};

Data data_of(const Settings& settings, int64_t vocabulary, bool data_given) {
  const RunConfig& run = settings.training.run;
  if (vocabulary > 0) return {vocabulary, 0, "as given"};
  if (!run.data.empty() && std::filesystem::exists(corpus_record_path(run.data))) {
    const Corpus corpus = Corpus::open(run.data);
    return {corpus.identity().vocabulary, corpus.part(Part::valid).size(), "that of " + run.data};
  }
  require(!data_given,
          "[plan] expected a corpus in {}, as --data says; got none; make one with "
          "'adaspan prepare', or give --vocabulary N in its place",
          run.data);
  if (!settings.preset.empty()) {
    const int64_t noted = preset_notes(settings.preset).vocabulary;
    if (noted > 0) return {noted, 0, "that of the preset's corpus"};
  }
  fail(
      "[plan] expected a vocabulary size, which decides how large a model is: --data with a "
      "corpus, "
      "a preset that names one, or --vocabulary N; got none");
}

MemoryState memory_of(const std::string& gigabytes) {
  if (gigabytes.empty()) return {};
  char* end = nullptr;
  const double number = std::strtod(gigabytes.c_str(), &end);
  require(*end == '\0' && number > 0 && number < 1e9,
          "[plan] expected --memory in gigabytes, a number above 0; got \"{}\"", gigabytes);
  return {.free = {{MemoryLimit::given, static_cast<int64_t>(number * 1e9)}}, .resident = 0};
}

Spans spans_of(const PlanOptions& options, const TrainingConfig& config) {
  if (options.spans.empty()) return spans_of_run(config);
  require_settable_spans(config.model);
  return span_pattern(options.spans, config.model);
}

void print_plan(PlanOptions& options) {
  const Settings settings = options.settings->resolve(options.output);
  TrainingConfig config = settings.training;
  const Data data = data_of(settings, options.vocabulary, options.settings->gives("data"));
  config.model.vocabulary = data.vocabulary;
  check(config);
  const MemoryState now = memory_of(options.memory);
  require_memory("this model's weights", weights_need(config.model), "take a smaller model", now);
  const Spans z = spans_of(options, config);
  if (!options.no_timing) options.output.note("timing some steps, for up to a minute ...");
  const Plan plan = plan_of(config, z, data.valid_tokens, now, !options.no_timing);
  options.output.note(fmt::format("a vocabulary of {} tokens, {}; on {}", data.vocabulary,
                                  data.source, settings.process.text()));
  options.settings->note_unread(options.output);
  options.output.result(json_of(plan), text_of(plan));
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "plan", "what a training will take before it begins: memory, time, settings that fit");
  auto options = std::make_shared<PlanOptions>();
  add_text(*command, "spans", options->spans, "initial|trained|full|FILE",
           "what the heads look back; FILE: JSON with z of each layer and head; if not given, as "
           "the run starts, or as its checkpoint has them");
  add_text(*command, "memory", options->memory, "GB",
           "plan for a machine with so much memory; if not given, for what is free here");
  add_whole_number(*command, "vocabulary", options->vocabulary,
                   "kinds of token; if not given, those of --data or of the preset's corpus");
  command->add_flag("--no-timing", options->no_timing, "count only; take the time of no step");
  options->settings = std::make_unique<SettingsOptions>(
      *command, [](const Flag& flag) { return flag.group != "Data" || flag.name == "data"; });
  add_output(*command, options->output);
  add_examples(*command,
               {"adaspan plan --preset enwik8",
                "adaspan plan --preset enwik8_large --spans trained --batch-split 8 --memory 16",
                "adaspan plan --config my.toml --vocabulary 200 --no-timing --json"});
  command->callback([options] { print_plan(*options); });
}

}  // namespace adaspan::cli
