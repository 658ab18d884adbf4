// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "app/command_tree.h"

namespace adaspan {

/// The page of a command for man(1), in man(7)'s language.
std::string man_page(const Command& command, const std::string& version);

/// "adaspan-bench-step"
std::string man_page_name(const Command& command);

}  // namespace adaspan
