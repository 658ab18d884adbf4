// SPDX-License-Identifier: MIT
// "did you mean": for commands, flags, settings, presets and values, whatever was misspelt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace adaspan {

/// How many letters have to be put in, left out, replaced or swapped with their neighbour to make
/// one word of the other.
size_t edit_distance(std::string_view a, std::string_view b);

/// The word of `among` that is like `word`: at most a third of its letters, and at least one, are
/// other ones. Empty if none is.
std::string most_like(std::string_view word, const std::vector<std::string>& among);

/// "; did you mean X?", or nothing if none of `among` is like `word`.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& among);

/// "a, b or c"
std::string listed(const std::vector<std::string>& words);

/// "a|b|c" -> {"a", "b", "c"}: how help and the table of flags write what a value may be.
std::vector<std::string> alternatives(std::string_view type);

/// Throws Error, with what there is to choose from, unless `text` is one of `type`'s alternatives;
/// any text is where it has none, or "FILE" is one of them.
void require_alternative(const std::string& name, const std::string& text, std::string_view type);

}  // namespace adaspan
