// SPDX-License-Identifier: MIT
// Options that several commands have, each declared once: the same name, meaning and errors
// everywhere. The type of an option ("FILE", "DIR", "PRESET", "a|b|c") is what help shows and the
// shell completes.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <optional>
#include <string>

#include <adaspan/train/run/checkpoint.h>
#include <adaspan/train/run/exact_evaluation.h>

#include "app/output.h"
#include "app/whole_number.h"

namespace adaspan::cli {

/// --name TEXT; what `text` is before is the default. An empty text is refused, and so is one that
/// is none of the type's alternatives.
CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& text,
                      const std::string& type, const std::string& help);

/// A word that must be there, by its place.
CLI::Option* add_word(CLI::App& command, const std::string& name, std::string& text,
                      const std::string& type, const std::string& help);

/// --name INTEGER, in the same way.
template <class Integer>
CLI::Option* add_whole_number(CLI::App& command, const std::string& name, Integer& number,
                              const std::string& help) {
  return command
      .add_option_function<std::string>(
          "--" + name,
          [&number, name](const std::string& given) {
            number = whole_number<Integer>(name, given);
          },
          help)
      ->type_name("INTEGER")
      ->default_str(std::to_string(number))
      ->take_last();
}

/// The same, which may be left out.
CLI::Option* add_whole_number(CLI::App& command, const std::string& name,
                              std::optional<int64_t>& number, const std::string& help);

/// --checkpoint FILE, of which chosen_checkpoint() says what it means; --data DIR in place of the
/// corpus it was trained on.
void add_checkpoint(CLI::App& command, std::string& checkpoint);
void add_data(CLI::App& command, std::string& data);

/// --batch-sz and --block-sz of an evaluation, which decides them itself where they are left out.
void add_evaluation_shape(CLI::App& command, EvaluationShape& shape);
/// --NAME last|ema: which of a checkpoint's weights.
void add_weights(CLI::App& command, Weights& weights, const std::string& name = "weights");

/// --threads, as in 'train'.
void add_threads(CLI::App& command, int& threads);

/// --json and --quiet.
void add_output(CLI::App& command, Output& output);

/// What --help ends with.
void add_examples(CLI::App& command, std::initializer_list<const char*> lines);

}  // namespace adaspan::cli
