// SPDX-License-Identifier: MIT
// The subcommands of the program: each turns its flags into one call and holds no logic of its own.
#pragma once

#include <CLI/CLI.hpp>

namespace adaspan::cli {

void add_prepare(CLI::App& app);
void add_train(CLI::App& app);
void add_presets(CLI::App& app);
void add_plan(CLI::App& app);
void add_eval(CLI::App& app);
void add_score(CLI::App& app);
void add_report(CLI::App& app);
void add_spans(CLI::App& app);
void add_generate(CLI::App& app);
void add_inspect(CLI::App& app);
void add_diff(CLI::App& app);
void add_repro(CLI::App& app);
void add_parity(CLI::App& app);
void add_bench(CLI::App& app);
void add_import(CLI::App& app);
void add_export(CLI::App& app);
void add_completion(CLI::App& app);
void add_man(CLI::App& app);

/// Thrown to end the program with a code of its own after all was said.
struct Exit {
  int code;
};

}  // namespace adaspan::cli
