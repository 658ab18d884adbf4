// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <new>

#include "adaspan/core/build.h"
#include "adaspan/core/error.h"
#include "app/commands/commands.h"
#include "app/settings.h"

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

}  // namespace

int main(int argc, char** argv) {
  using namespace adaspan;
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may grow no more is an error like a full disk
  CLI::App app("The adaptive-span transformer: train it, look at it, use it.", "adaspan");
  app.set_version_flag("--version", version());
  app.require_subcommand(0, 1);  // with at least 1, a misspelt one would be called a missing one
  try {
    cli::add_train(app);
    cli::add_eval(app);
    cli::add_generate(app);
    cli::add_report(app);
    cli::add_prepare(app);
    cli::add_inspect(app);
    cli::add_parity(app);
    cli::add_bench(app);
    cli::add_diff(app);
    cli::add_repro(app);
    cli::add_import(app);
    cli::add_export(app);
    app.parse(argc, argv);
    require(!app.get_subcommands().empty(),
            "expected a command; got none; 'adaspan --help' lists them");
    require(std::fflush(stdout) == 0 && !std::ferror(stdout),
            "expected to write the output; got an error; is the disk full?");
    return 0;
  } catch (const CLI::Success& e) {  // --help
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return complain(fmt::format(
        "{}; 'adaspan --help' and 'adaspan COMMAND --help' list what there is", e.what()));
  } catch (const cli::Exit& e) {
    return e.code;
  } catch (const std::bad_alloc&) {
    return complain(
        "[memory] expected more memory than the system has; use a smaller batch or model");
  } catch (const std::exception& e) {
    return complain(adaspan::with_flags(e.what(), words_of(argc, argv)));
  }
}
