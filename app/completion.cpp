// SPDX-License-Identifier: MIT
#include "app/completion.h"

#include <fmt/ranges.h>

#include <map>
#include <vector>

#include "app/suggestion.h"

namespace adaspan {
namespace {

/// What `values` is for a type: words, or what _adaspan is to list.
std::string values_of(const std::string& type) {
  std::vector<std::string> words = alternatives(type);
  std::erase(words, "FILE");
  if (!words.empty()) return fmt::format("{}", fmt::join(words, " "));
  return type == "FILE" || type == "DIR" || type == "PRESET" ? "@" + type : "@nothing";
}

/// One command as a case: what can follow it.
std::string case_of(const Command& command) {
  std::vector<std::string> options, below;
  std::map<std::string, std::vector<std::string>> by_values;  // names of the options that take them
  std::string words;
  for (const CommandOption& option : command.options) {
    if (option.by_place) {
      words = values_of(option.type);
      continue;
    }
    options.insert(options.end(), option.names.begin(), option.names.end());
    if (option.type.empty()) continue;
    auto& names = by_values[values_of(option.type)];
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  for (const Command& one : command.commands) below.push_back(one.name);
  if (!below.empty()) words = fmt::format("{}", fmt::join(below, " "));
  std::string text = fmt::format("    '{}')\n      options='{}'\n      words='{}'\n", command.path,
                                 fmt::join(options, " "), words);
  if (!by_values.empty()) {
    text += "      case $flag in\n";
    for (const auto& [values, names] : by_values) {
      text += fmt::format("        {}) values='{}' ;;\n", fmt::join(names, "|"), values);
    }
    text += "      esac\n";
  }
  text += "      ;;\n";
  for (const Command& one : command.commands) text += case_of(one);
  return text;
}

void add_paths(const Command& command, std::vector<std::string>& paths) {
  for (const Command& one : command.commands) {
    paths.push_back("'" + one.path + "'");
    add_paths(one, paths);
  }
}

// COMMANDS and CASES are filled in.
constexpr const char* kScript = R"sh(# SPDX-License-Identifier: MIT
# Completion of adaspan's command line for bash; made by 'adaspan completion bash'.
_adaspan() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} command=adaspan
  local flag='' options='' words='' values='' i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${COMP_WORDS[i]}" in
      COMMANDS)
        command+=" ${COMP_WORDS[i]}"
        ;;
      *) break ;;
    esac
  done
  # --flag=value comes as three words
  i=$((COMP_CWORD - 1))
  if [[ $current == '=' ]]; then
    current=''
  elif [[ ${COMP_WORDS[i]} == '=' ]]; then
    i=$((i - 1))
  fi
  flag=${COMP_WORDS[i]}
  case $command in
CASES  esac
  if [[ -n $values ]]; then
    words=$values
  elif [[ $current == -* || -z $words ]]; then
    words=$options
  fi
  case $words in
    @FILE) mapfile -t COMPREPLY < <(compgen -f -- "$current") && compopt -o filenames ;;
    @DIR) mapfile -t COMPREPLY < <(compgen -d -- "$current") && compopt -o filenames ;;
    @PRESET)
      mapfile -t COMPREPLY < <(compgen -W "$("$program" presets --names 2>/dev/null)" -- "$current")
      ;;
    @nothing) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
  esac 2>/dev/null
}
complete -F _adaspan adaspan
)sh";

void replace(std::string& text, const std::string& name, const std::string& by) {
  text.replace(text.find(name), name.size(), by);
}

}  // namespace

std::string bash_completion(const Command& program) {
  std::vector<std::string> paths;
  add_paths(program, paths);
  std::string script = kScript;
  replace(script, "COMMANDS", fmt::format("{}", fmt::join(paths, " | ")));
  replace(script, "CASES", case_of(program));
  return script;
}

}  // namespace adaspan
