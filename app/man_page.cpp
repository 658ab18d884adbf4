// SPDX-License-Identifier: MIT
#include "app/man_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "app/exit_codes.h"

namespace adaspan {
namespace {

constexpr const char* kDate = "2026-11-28";  // of the pages' last change, which every page has

/// Text as man(7) has to read it: no sign of it is a command, no dash a hyphen.
std::string escaped(const std::string& text) {
  std::string result;
  bool line_begins = true;
  for (char c : text) {
    if (line_begins && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\') {
      result += "\\e";
    } else {
      result += c == '-' ? "\\-" : std::string(1, c);
    }
    line_begins = c == '\n';
  }
  return result;
}

std::string in_bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string synopsis_of(const Command& command) {
  std::string text = in_bold(command.path);
  if (!command.commands.empty()) text += " \\fIcommand\\fR";
  for (const CommandOption& option : command.options) {
    const std::string name = option.names.front();
    if (option.by_place) {
      text += " \\fI" + escaped(name) + "\\fR";
    } else if (option.required) {
      text += " " + in_bold(name) + " \\fI" + escaped(option.type) + "\\fR";
    }
  }
  return text + " [\\fIoption\\fR]...\n";
}

std::string entry_of(const CommandOption& option) {
  std::string text = ".TP\n";
  for (size_t i = 0; i < option.names.size(); ++i) {
    text += (i == 0 ? "" : ", ") + in_bold(option.names[i]);
  }
  if (!option.type.empty() && !option.by_place) text += " \\fI" + escaped(option.type) + "\\fR";
  text += "\n" + escaped(option.help);
  if (!option.standard.empty()) text += escaped(fmt::format(" (default: {})", option.standard));
  return text + (option.required && !option.by_place ? "; must be given\n" : "\n");
}

std::string options_of(const Command& command) {
  std::string text;
  std::vector<std::string> groups;
  for (const CommandOption& option : command.options) {
    if (std::ranges::find(groups, option.group) == groups.end()) groups.push_back(option.group);
  }
  for (const std::string& group : groups) {
    text += group == "Options" ? "" : ".SS " + escaped(group) + "\n";
    for (const CommandOption& option : command.options) {
      if (option.group == group) text += entry_of(option);
    }
  }
  return text;
}

std::string commands_of(const Command& command) {
  std::string text;
  for (const Command& below : command.commands) {
    text += ".TP\n" + in_bold(below.path) + "\n" + escaped(below.help) + "\n";
  }
  return text;
}

/// The examples, which is what a footer begins with.
std::string examples_of(const Command& command) {
  const std::string title = "Examples:\n";
  if (!command.footer.starts_with(title)) return "";
  const std::string lines = command.footer.substr(title.size());
  return ".nf\n" + escaped(lines.substr(0, lines.find("\n\n"))) + "\n.fi\n";
}

std::string exit_codes() {
  std::string text;
  for (const auto& [code, meaning] : kExitCodes) {
    text += fmt::format(".TP\n.B {}\n{}\n", code, escaped(meaning));
  }
  return text;
}

std::string see_also(const Command& command) {
  std::string text;
  const auto add = [&](const Command& one) {
    text += fmt::format("{}.BR {} (1)", text.empty() ? "" : " ,\n", escaped(man_page_name(one)));
  };
  for (const Command& below : command.commands) add(below);
  if (command.path != "adaspan") text += ".BR adaspan (1)";
  return text + "\n";
}

}  // namespace

std::string man_page_name(const Command& command) {
  std::string name = command.path;
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string man_page(const Command& command, const std::string& version) {
  const std::string name = man_page_name(command);
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string text = ".\\\" SPDX-License-Identifier: MIT\n";
  text += fmt::format(".TH {} 1 {} \"adaspan {}\" \"Adaspan\"\n", escaped(upper), kDate, version);
  const auto add = [&](const char* title, const std::string& body) {
    if (!body.empty()) text += fmt::format(".SH {}\n{}", title, body);
  };
  add("NAME", fmt::format("{} \\- {}\n", escaped(name), escaped(command.help)));
  add("SYNOPSIS", synopsis_of(command));
  add("COMMANDS", commands_of(command));
  add("OPTIONS", options_of(command));
  add("EXAMPLES", examples_of(command));
  add("EXIT STATUS", exit_codes());
  add("SEE ALSO", see_also(command));
  return text;
}

}  // namespace adaspan
