// SPDX-License-Identifier: MIT
#include "app/command_tree.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/suggestion.h"

namespace adaspan {
namespace {

std::vector<std::string> names_of(const CLI::Option& option) {
  if (option.get_positional()) return {option.get_name(true)};
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  return names;
}

CommandOption option_of(const CLI::Option& option) {
  const bool flag = option.get_items_expected_max() == 0;
  return {.names = names_of(option),
          .type = flag ? "" : option.get_type_name(),
          .standard = flag ? "" : option.get_default_str(),
          .help = option.get_description(),
          .group = option.get_group(),
          .by_place = option.get_positional(),
          .required = option.get_required()};
}

Command tree_of(const CLI::App& app, const std::string& above) {
  Command command{.name = app.get_name(),
                  .path = above.empty() ? app.get_name() : above + " " + app.get_name(),
                  .help = app.get_description(),
                  .footer = app.get_footer(),
                  .group = app.get_group(),
                  .options = {},
                  .commands = {}};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) command.options.push_back(option_of(*option));
  }
  for (const CLI::App* below : app.get_subcommands({})) {
    command.commands.push_back(tree_of(*below, command.path));
  }
  return command;
}

}  // namespace

Command command_tree(const CLI::App& app) {
  return tree_of(app, "");
}

const Command& find_command(const Command& command, const std::vector<std::string>& names) {
  const Command* found = &command;
  for (const std::string& name : names) {
    const auto below = std::ranges::find(found->commands, name, &Command::name);
    if (below == found->commands.end()) break;
    found = &*below;
  }
  return *found;
}

std::string suggestion_for(const Command& command, const std::string& word) {
  std::vector<std::string> known;
  if (word.starts_with('-')) {
    for (const CommandOption& option : command.options) {
      if (!option.by_place) known.insert(known.end(), option.names.begin(), option.names.end());
    }
  } else {
    for (const Command& below : command.commands) known.push_back(below.name);
  }
  return did_you_mean(word.substr(0, word.find('=')), known);
}

}  // namespace adaspan
