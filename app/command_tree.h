// SPDX-License-Identifier: MIT
// The program's commands and their options as data: what completion, the manual and suggestions
// are made from. One walk over the command line's own tree, so that none of them can miss a flag.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace adaspan {

struct CommandOption {
  std::vector<std::string> names;  ///< "--lr"; of a word by its place its own, as "RUN_DIR"
  std::string type;                ///< of its value: "FILE", "a|b|c"; empty for a flag
  std::string standard;            ///< its default, or empty
  std::string help, group;
  bool by_place = false, required = false;
};

struct Command {
  std::string name;  ///< "step"
  std::string path;  ///< "adaspan bench step"
  std::string help, footer, group;
  std::vector<CommandOption> options;  ///< those that help lists
  std::vector<Command> commands;
};

Command command_tree(const CLI::App& app);

/// The command of these names below `command`; the deepest there is if some are none.
const Command& find_command(const Command& command, const std::vector<std::string>& names);

/// "; did you mean X?" for a word that `command` does not know, or nothing.
std::string suggestion_for(const Command& command, const std::string& word);

}  // namespace adaspan
