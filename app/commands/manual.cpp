// SPDX-License-Identifier: MIT
#include <filesystem>
#include <nlohmann/json.hpp>

#include "adaspan/core/build.h"
#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "app/command_tree.h"
#include "app/commands/commands.h"
#include "app/commands/common_options.h"
#include "app/completion.h"
#include "app/man_page.h"

namespace adaspan::cli {
namespace {

/// The pages of a command and all below it, a file each.
void write_pages(const Command& command, const std::filesystem::path& folder) {
  atomic_write(folder / (man_page_name(command) + ".1"), man_page(command, build_info().version));
  for (const Command& below : command.commands) write_pages(below, folder);
}

}  // namespace

void add_completion(CLI::App& app) {
  struct Options {
    std::string shell, out;
  };
  CLI::App* command = app.add_subcommand("completion", "a script that completes command lines");
  auto options = std::make_shared<Options>();
  add_word(*command, "SHELL", options->shell, "SHELL", "for which; there is one for bash");
  add_text(*command, "out", options->out, "FILE", "write it there");
  add_examples(*command, {"source <(adaspan completion bash)"});
  command->callback([&app, options] {
    require(options->shell == "bash",
            "[completion] expected bash; got \"{}\"; there is no other yet", options->shell);
    const std::string script = bash_completion(command_tree(app));
    if (options->out.empty()) {
      Output().result({}, script);
    } else {
      make_folder_of(options->out);
      atomic_write(options->out, script);
    }
  });
}

void add_man(CLI::App& app) {
  struct Options {
    std::vector<std::string> names;
    std::string out;
  };
  CLI::App* command = app.add_subcommand("man", "the manual page of a command");
  auto options = std::make_shared<Options>();
  command->add_option("COMMAND", options->names, "whose; if not given, that of the program")
      ->type_name("COMMAND");
  add_text(*command, "out", options->out, "DIR", "write all pages there, a file each");
  add_examples(*command, {"adaspan man train | man -l -", "adaspan man --out man1"});
  command->callback([&app, options] {
    const Command program = command_tree(app);
    if (!options->out.empty()) {
      std::filesystem::create_directories(options->out);
      write_pages(program, options->out);
      return;
    }
    const Command& found = find_command(program, options->names);
    std::string path = "adaspan";
    for (const std::string& name : options->names) path += " " + name;
    require(found.path == path, "[man] expected the name of a command; got \"{}\"{}", path,
            suggestion_for(found, options->names.empty() ? "" : options->names.back()));
    Output().result({}, man_page(found, build_info().version));
  });
}

}  // namespace adaspan::cli
