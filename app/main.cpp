// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <new>

#include "adaspan/core/build.h"
#include "adaspan/core/error.h"
#include "app/command_tree.h"
#include "app/commands/commands.h"
#include "app/exit_codes.h"
#include "app/settings.h"
#include "app/signals.h"

namespace {

constexpr int kWrongInput = 2;

std::string version() {
  const adaspan::BuildInfo& build = adaspan::build_info();
  return fmt::format("adaspan {} ({}, {}, {})", build.version, build.git, build.compiler,
                     build.flags);
}

int complain(const std::string& text) {
  std::fflush(stdout);
  std::fputs(fmt::format("adaspan: {}\n", text).c_str(), stderr);  // throws nothing
  return kWrongInput;
}

/// Those of the command line; of --flag=value the value, too.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals != std::string::npos) words.push_back(word.substr(equals + 1));
  }
  return words;
}

void add_commands(CLI::App& app) {
  using namespace adaspan::cli;
  const auto add = [&app](const char* group, auto... functions) {
    const size_t before = app.get_subcommands({}).size();
    (functions(app), ...);
    const auto all = app.get_subcommands({});
    for (size_t i = before; i < all.size(); ++i) all[i]->group(group);
  };
  add("To train", add_prepare, add_presets, add_plan, add_train);
  add("What a model has learned", add_eval, add_score, add_report, add_spans, add_generate,
      add_inspect);
  add("Is it the same, is it fast", add_diff, add_repro, add_parity, add_bench);
  add("From and to PyTorch", add_import, add_export);
  add("The shell's help", add_completion, add_man);
  std::string footer =
      "Examples:\n"
      "  adaspan prepare --input my.txt --out data/my\n"
      "  adaspan train --preset demo --data data/my --checkpoint runs/my/checkpoint.safetensors\n"
      "  adaspan report --checkpoint runs/my/checkpoint.safetensors\n\n"
      "Results go to standard output, notes and progress to standard error.\n\nExit codes:";
  for (const auto& [code, meaning] : adaspan::kExitCodes) {
    footer += fmt::format("\n  {}  {}", code, meaning);
  }
  app.footer(footer);
}

/// The parser's words on a wrong command line, and what was meant by the first word that is like
/// something it knows.
std::string with_suggestion(std::string message, const CLI::App& app) {
  std::vector<std::string> commands;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().back();
    commands.push_back(at->get_name());
  }
  const adaspan::Command program = adaspan::command_tree(app);
  for (const std::string& word : app.remaining(/*recurse=*/true)) {
    const auto text = adaspan::suggestion_for(adaspan::find_command(program, commands), word);
    if (text.empty()) continue;
    // "--checkpoint is required" does not say that there is a --checkpont.
    const bool named = message.find(word) != std::string::npos;
    return message + (named ? "" : "; got " + word) + text;
  }
  return message;
}

/// The parser's help with one empty line between its parts.
class HelpText : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    return CLI::detail::find_and_replace(Formatter::make_help(app, name, mode), "\n\n\n", "\n\n");
  }
};

}  // namespace

int main(int argc, char** argv) {
  using namespace adaspan;
  cli::open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may grow no more is an error like a full disk
  CLI::App app("The adaptive-span transformer: train it, look at it, use it.", "adaspan");
  app.formatter(std::make_shared<HelpText>());
  app.set_version_flag("--version", version());
  app.require_subcommand(0, 1);  // with at least 1, a misspelt one would be called a missing one
  try {
    add_commands(app);
    app.parse(argc, argv);
    require(!app.get_subcommands().empty(),
            "expected a command; got none; 'adaspan --help' lists them");
    require(std::fflush(stdout) == 0 && !std::ferror(stdout),
            "expected to write the output; got an error; is the disk full, or the reader gone?");
    return 0;
  } catch (const CLI::Success& e) {  // --help
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return complain(
        fmt::format("{}; 'adaspan --help' and 'adaspan COMMAND --help' list what there is",
                    with_suggestion(e.what(), app)));
  } catch (const cli::Exit& e) {
    return e.code;
  } catch (const std::bad_alloc&) {
    return complain(
        "[memory] expected more memory than the system has; use a smaller batch or model");
  } catch (const std::exception& e) {
    return complain(adaspan::with_flags(e.what(), words_of(argc, argv)));
  }
}
