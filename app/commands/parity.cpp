// SPDX-License-Identifier: MIT
#include "app/parity.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "adaspan/ops/process.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/threads.h"

namespace adaspan::cli {
namespace {

using nlohmann::ordered_json;

struct ParityArguments {
  Output output;
  std::string path, precision = "f32";
  int threads = 0;
};

/// "1e-04", or of a list "1e-03, later 1e-02"
std::string text_of_bound(const ordered_json& bound) {
  if (!bound.is_array()) return fmt::format("{:.0e}", bound.get<double>());
  return fmt::format("{:.0e}, later {:.0e}", bound.at(0).get<double>(), bound.at(1).get<double>());
}

void compare(ParityArguments& options) {
  const Process process = open_process(process_options(options.output, options.threads));
  const DType precision = options.precision == "bf16" ? DType::bf16 : DType::f32;
  int64_t quantities = 0, agreeing = 0;
  const bool agrees = replay(options.path, precision, [&](const ordered_json& row) {
    const bool ok = row.at("ok").get<bool>();
    quantities += 1;
    agreeing += ok ? 1 : 0;
    options.output.result(
        row, fmt::format("{:<7} {:<60} error {:.1e}, bound {}", ok ? "agrees" : "DIFFERS",
                         row.at("name").get<std::string>(), row.at("rel_error").get<double>(),
                         text_of_bound(row.at("bound"))));
  });
  options.output.note(fmt::format("{} of {} quantities agree, computed on {}", agreeing, quantities,
                                  process.text()));
  if (!agrees) throw Exit{1};
}

}  // namespace

void add_parity(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "parity", "replay a recorded run of the reference and compare; exits 0 only if all agrees");
  auto options = std::make_shared<ParityArguments>();
  add_word(*command, "FILE", options->path, "FILE", "the recorded run, a safetensors file");
  add_text(*command, "precision", options->precision, "f32|bf16", "of activations");
  add_threads(*command, options->threads);
  add_output(*command, options->output);
  add_examples(*command, {"adaspan parity tests/golden/adaptive.safetensors",
                          "adaspan parity recorded.safetensors --precision bf16 --json"});
  command->callback([options] { compare(*options); });
}

}  // namespace adaspan::cli
