// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/manifest.h"
#include "adaspan/train/run/memory_check.h"
#include "app/bench/bench_attention.h"
#include "app/bench/bench_gemm.h"
#include "app/bench/bench_generate.h"
#include "app/bench/bench_step.h"
#include "app/bench/given_spans.h"
#include "app/bench/steady_training.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/settings_options.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;
using Names = std::vector<std::string>;

std::string text_of(const ordered_json& value) {
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// A list of objects of the same keys, a line each.
std::string text_of_rows(const ordered_json& rows) {
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& [key, value] : rows.front().items()) cells[0].push_back(key);
  for (const auto& row : rows) {
    auto& line = cells.emplace_back();
    for (const auto& [key, value] : row.items()) line.push_back(text_of(value));
  }
  return table(cells);
}

std::string text_of_result(const ordered_json& result) {
  std::vector<std::pair<std::string, std::string>> single;
  std::string tables;
  for (const auto& [key, value] : result.items()) {
    if (value.is_null()) continue;
    if (value.is_array() && !value.empty()) {
      tables += fmt::format("{}\n{}", key, text_of_rows(value));
    } else {
      single.emplace_back(key, text_of(value));
    }
  }
  return aligned(single) + tables;
}

/// What the numbers hold for, beside what was measured.
ordered_json machine() {
  const ordered_json all = environment();
  ordered_json json;
  for (const char* key : {"cpu", "isa", "threads"}) json[key] = all.at(key);
  return json;
}

/// One benchmark: `names` are the settings that it reads beside those of the process, `add_options`
/// declares what it alone has, `run` gets the configuration.
template <class Options, class AddOptions, class Run>
void add_benchmark(CLI::App& bench, const char* name, const char* help, Names names,
                   const AddOptions& add_options, const Run& run, const char* example) {
  struct All {
    Output output;
    Options own{};
    std::unique_ptr<SettingsOptions> settings;
  };
  CLI::App* command = bench.add_subcommand(name, help);
  auto all = std::make_shared<All>();
  add_options(*command, all->own);
  all->settings = std::make_unique<SettingsOptions>(*command, [names](const Flag& flag) {
    return flag.group == "Process" || std::ranges::find(names, flag.name) != names.end();
  });
  add_output(*command, all->output);
  add_examples(*command, {example});
  command->callback([all, run] {
    const TrainingConfig chosen = all->settings->resolve(all->output).training;
    ordered_json shown = run(chosen, all->own), json = shown;
    json.update(environment());
    json["configuration"] = to_json(chosen);
    shown.update(machine());
    all->settings->note_unread(all->output);
    all->output.result(json, text_of_result(shown));
  });
}

Names names_of_step() {
  Names names = {"seed"};
  for (const Flag& flag : flags()) {
    const bool read = flag.group == "Model" || flag.group == "Optimizer" || flag.group == "Batch";
    // Spans are set for each step anew: what they cost moves nothing.
    if (read && flag.name != "adapt-span-loss") names.push_back(flag.name);
  }
  return names;
}

/// Whatever a run that goes on from it must have the same.
Names names_of_checkpoint() {
  Names names = names_of_step();
  names.emplace_back("data");
  names.emplace_back("validation");
  return names;
}

void add_spans(CLI::App& command, std::string& spans) {
  add_text(command, "spans", spans, "initial|trained|full|FILE",
           "what the heads look back; FILE: JSON with z of each layer and head");
}

struct GivenSpans {
  std::string spans = "trained", file;
};

ordered_json bench_checkpoint(const TrainingConfig& config, const GivenSpans& options) {
  require_settable_spans(config.model);
  const auto spans = span_pattern(options.spans, config.model);
  const Corpus corpus = Corpus::open(config.run.data);
  TrainingConfig known = config;
  known.model.vocabulary = corpus.identity().vocabulary;
  require_training_memory(known, spans, /*going_on=*/false);
  Trainer trainer(known, corpus.identity(), TokenStream::of(corpus, Part::train),
                  TokenStream::of(corpus, Part::valid));
  save_given_spans(options.file, trainer, spans);
  return {{"spans", options.spans},
          {"checkpoint", options.file},
          {"bytes", std::filesystem::file_size(options.file)}};
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "how fast this machine is");
  bench->require_subcommand(0, 1);  // as the program itself: else a misspelt one would be missing
  bench->callback([bench] {
    require(!bench->get_subcommands().empty(),
            "[bench] expected step, checkpoint, attention or gemm; got none; 'adaspan bench "
            "--help' tells more");
  });
  add_benchmark<BenchStepOptions>(
      *bench, "step", "one training step on random tokens", names_of_step(),
      [](CLI::App& command, BenchStepOptions& options) {
        add_spans(command, options.spans);
        add_whole_number(command, "steps", options.steps, "steps to time; the best counts");
        command.add_flag("--profile", options.profile, "where the time of a step goes");
      },
      bench_step, "adaspan bench step --preset enwik8_small --spans trained --profile");
  add_benchmark<std::vector<int64_t>>(
      *bench, "attention", "span attention of one layer, forward and backward",
      {"hid-sz", "nheads", "pers-mem-size", "attn-span", "adapt-span", "dynamic-span",
       "adapt-span-ramp", "dropout", "batch-sz", "batch-split", "block-sz"},
      [](CLI::App& command, std::vector<int64_t>& spans) {
        spans = {52, 128, 646};
        command
            .add_option("--span", spans,
                        "effective span E of all heads, in tokens; may be repeated")
            ->type_name("INTEGER")
            ->default_str("52,128,646");
      },
      bench_attention, "adaspan bench attention --preset enwik8_small --span 128 --span 1024");
  add_benchmark<BenchGenerateOptions>(
      *bench, "generate", "writing, one token after another",
      {"nlayers", "hid-sz", "inner-hid-sz", "nheads", "pers-mem-size", "attn-span", "adapt-span",
       "dynamic-span", "adapt-span-ramp"},
      [](CLI::App& command, BenchGenerateOptions& options) {
        add_text(command, "spans", options.spans, "initial|trained|full|FILE",
                 "what the heads look back; FILE: JSON with z of each layer and head");
        add_text(command, "storage", options.storage, "auto|f32|bf16",
                 "of weights, keys and values; auto: as --precision");
        add_whole_number(command, "samples", options.texts, "texts that are written side by side");
        add_whole_number(command, "length", options.length, "tokens to time; the best counts");
        command.add_flag("--profile", options.profile, "where the time of a token goes");
      },
      [](const TrainingConfig& config, const BenchGenerateOptions& options) {
        return bench_generate(config.model, options);
      },
      "adaspan bench generate --preset enwik8_small --spans trained --json");
  add_benchmark<GivenSpans>(
      *bench, "checkpoint", "a checkpoint with given spans and a full memory, to train on from",
      names_of_checkpoint(),
      [](CLI::App& command, GivenSpans& options) {
        add_spans(command, options.spans);
        add_word(command, "file", options.file, "FILE", "the checkpoint to write");
      },
      bench_checkpoint,
      "adaspan bench checkpoint --preset enwik8_small --spans trained "
      "runs/x/checkpoint.safetensors");
  struct None {};
  add_benchmark<None>(
      *bench, "gemm", "the matrix products of one layer",
      {"hid-sz", "inner-hid-sz", "pers-mem-size", "batch-sz", "batch-split", "block-sz"},
      [](CLI::App&, None&) {},
      [](const TrainingConfig& config, None) { return bench_gemm(config); },
      "adaspan bench gemm --preset enwik8_small");
  add_examples(*bench, {"adaspan bench step --preset enwik8_small",
                        "adaspan bench attention --preset enwik8_small --span 646 --json"});
}

}  // namespace adaspan::cli
