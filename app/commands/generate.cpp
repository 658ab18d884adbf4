// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/generate.h"

#include <fmt/core.h>

#include <chrono>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/data/prompt.h"
#include "adaspan/train/run/memory_check.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/commands/open_model.h"
#include "app/signals.h"
#include "app/text_stream.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

constexpr int64_t kMostTexts = 4096;

struct GenerateArguments {
  Output output;
  std::string checkpoint, data, unknown = "refuse", prompt_file, stop, storage = "auto";
  std::optional<std::string> prompt;
  GenerateOptions generate;
  int64_t samples = 1;
  bool stats = false;
  Weights weights = Weights::last;
  int threads = 0;
};

/// One text as it is written.
struct Sample {
  TextStream text;
  std::vector<float> log_p = {};
};

/// What was given to go on from; nothing where it is left to the corpus.
std::optional<std::string> given_prompt(const GenerateArguments& options) {
  require(!options.prompt || options.prompt_file.empty(),
          "[prompt] expected --prompt or --prompt-file; got both");
  if (options.prompt_file.empty()) return options.prompt;
  if (options.prompt_file != "-") return read_text(options.prompt_file);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

/// The ids of the prompt; what was done with unknown tokens is noted.
std::vector<int32_t> prompt_ids(GenerateArguments& options, const Corpus& corpus) {
  const std::optional<std::string> text = given_prompt(options);
  if (!text) return {corpus.part(Part::test)[0]};
  Prompt prompt =
      encode_prompt(*text, corpus.vocabulary(), corpus.reading(), unknown_tokens(options.unknown));
  const bool words = corpus.format() == TextFormat::words;
  const auto tell = [&](int64_t count, const char* what) {
    if (count == 0) return;
    options.output.note(fmt::format("{} unknown {}{} of the prompt {}", count,
                                    words ? "word" : "character", count == 1 ? "" : "s", what));
  };
  tell(prompt.skipped, "left out");
  tell(prompt.replaced, "taken as <unk>");
  if (prompt.newlines > 0) {
    options.output.note(fmt::format("{} newline{} of the prompt dropped, as in the corpus",
                                    prompt.newlines, prompt.newlines == 1 ? "" : "s"));
  }
  return std::move(prompt.ids);
}

DType storage_of(const GenerateArguments& options, const LoadedModel& loaded) {
  if (options.storage != "auto") return options.storage == "bf16" ? DType::bf16 : DType::f32;
  return loaded.header.config.model.precision;
}

void print_json(GenerateArguments& options, const std::vector<Sample>& samples, int64_t step) {
  for (size_t n = 0; n < samples.size(); ++n) {
    const SamplingOptions& s = options.generate.sampling;
    options.output.result({{"sample", n},
                           {"text", samples[n].text.text()},
                           {"tokens", samples[n].log_p.size()},
                           {"log_probabilities", samples[n].log_p},
                           {"stopped", samples[n].text.stopped()},
                           {"seed", options.generate.seed},
                           {"temperature", s.temperature},
                           {"top_k", s.top_k},
                           {"top_p", s.top_p},
                           {"min_p", s.min_p},
                           {"step", step}},
                          "");
  }
}

/// Several texts, when all are written.
void print_texts(GenerateArguments& options, std::vector<Sample>& samples) {
  for (size_t n = 0; n < samples.size(); ++n) {
    options.output.note(fmt::format("sample {} of {}:", n + 1, samples.size()));
    options.output.write(samples[n].text.text() + "\n");
  }
}

void write(GenerateArguments& options) {
  check(options.generate.sampling);
  require(options.samples >= 1 && options.samples <= kMostTexts,
          "[generate] expected --samples from 1 to {}; got {}", kMostTexts, options.samples);
  const Process process = open_process(process_options(options.output, options.threads));
  const std::filesystem::path checkpoint = choose_checkpoint(options.output, options.checkpoint);
  const LoadedModel loaded = open_model(options.output, checkpoint, options.weights);
  const Corpus corpus = open_corpus(loaded, checkpoint, options.data);
  const std::vector<int32_t> prompt = prompt_ids(options, corpus);
  const DecoderOptions of_decoder{.texts = options.samples, .storage = storage_of(options, loaded)};
  require_memory("this generation",
                 generation_need(loaded.model->config(), static_cast<int64_t>(prompt.size()),
                                 of_decoder, loaded.model->spans()),
                 "use fewer --samples, or a machine with more");
  stop_on_signals("\nadaspan: will stop after this token; again to end at once\n");
  Decoder decoder(*loaded.model, of_decoder);
  std::vector<Sample> samples;
  for (int64_t n = 0; n < options.samples; ++n) {
    samples.push_back({TextStream(corpus.vocabulary(), corpus.format(), options.stop)});
  }

  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Clock::time_point first = start;
  const bool streams = options.samples == 1 && !options.output.json;
  int64_t drawn = 0;
  const auto told = [&](int64_t n, int32_t token, float log_p) {
    if (drawn++ == 0) first = Clock::now();
    Sample& sample = samples[static_cast<size_t>(n)];
    sample.log_p.push_back(log_p);
    const std::string more = sample.text.add(token);
    if (streams) options.output.write(more);
    return !sample.text.stopped() && !stop_asked();
  };
  generate(decoder, prompt, options.generate, told);
  const std::chrono::duration<double> reading = first - start, writing = Clock::now() - first;

  if (options.output.json) {
    print_json(options, samples, loaded.header.progress.step);
  } else if (streams) {
    options.output.write(samples[0].text.rest() + "\n");
  } else {
    print_texts(options, samples);
  }
  options.output.note(fmt::format("{} tokens, written on {}", drawn, process.text()));
  if (options.stats) {
    options.output.note(fmt::format(
        "{:.3f} s to read a prompt of {} tokens and draw the first; then {:.1f} tokens/s; weights, "
        "keys and values in {}: {:.1f} MB a token",
        reading.count(), prompt.size(),
        drawn > options.samples ? static_cast<double>(drawn - options.samples) / writing.count()
                                : 0,
        name(of_decoder.storage), decoder.traffic().total() * 1e-6));
  }
  if (stop_asked()) throw Exit{exit_code_of_stop()};
}

void add_number(CLI::App& command, const char* name, double& number, const char* help) {
  command.add_option(name, number, help)->type_name("NUMBER")->capture_default_str()->take_last();
}

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "let a trained model write");
  auto options = std::make_shared<GenerateArguments>();
  SamplingOptions& sampling = options->generate.sampling;
  add_checkpoint(*command, options->checkpoint);
  add_data(*command, options->data);
  add_weights(*command, options->weights);
  command
      ->add_option("--prompt", options->prompt,
                   "text to go on from; if not given, the first token of the test part")
      ->type_name("TEXT");
  add_text(*command, "prompt-file", options->prompt_file, "FILE",
           "the same from a file; -: from standard input");
  add_text(*command, "unknown", options->unknown, "refuse|skip",
           "what to do with characters or words of the prompt that the corpus does not have");
  add_whole_number(*command, "length", options->generate.length, "tokens to draw, at most");
  add_text(*command, "stop", options->stop, "TEXT", "end before this text");
  add_whole_number(*command, "samples", options->samples,
                   "texts, written side by side; each is the same alone or among others");
  add_number(*command, "--temperature", sampling.temperature,
             "below 1: likelier text; 0: always the likeliest token");
  add_whole_number(*command, "top-k", sampling.top_k,
                   "then only from the likeliest so many tokens; 0: from all");
  add_number(
      *command, "--top-p", sampling.top_p,
      "then only from the likeliest tokens that together have this probability; 1: from all");
  add_number(*command, "--min-p", sampling.min_p,
             "then only from tokens at least so likely as a share of the likeliest; 0: from all");
  add_whole_number(*command, "seed", options->generate.seed, "first number of the random stream");
  add_text(*command, "storage", options->storage, "auto|f32|bf16",
           "of weights, keys and values while writing; auto: as the model was trained");
  command->add_flag("--stats", options->stats, "tell how fast it was");
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(
      *command,
      {"adaspan generate --checkpoint runs/demo/checkpoint.safetensors",
       "adaspan generate --checkpoint runs/demo/best.safetensors --prompt 'A cat is ' "
       "--length 500 --temperature 0.6",
       "adaspan generate --prompt-file begun.txt --stop . --samples 8 --top-p 0.9 --stats"});
  command->callback([options] { write(*options); });
}

}  // namespace adaspan::cli
