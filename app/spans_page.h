// SPDX-License-Identifier: MIT
// What `adaspan spans` found, as one HTML file that needs no other: the text, shaded by how far
// back the model looks, with charts and tables. A script adds pointing: at a character, with the
// mouse or the arrow keys, those that it attends to are marked. All is there without it.
#pragma once

#include <string>
#include <vector>

#include "app/charts/svg.h"
#include "app/spans_text.h"

namespace adaspan {

/// Of dynamic spans the mean over the text (paper, figure 5), by layer and by head;
/// of the chosen head its weights over distance (figure 1) and those of the last characters.
std::vector<NamedChart> charts_of(const TextReading& reading);

/// `checkpoint` is whose spans they are.
std::string page_of(const TextReading& reading, const std::string& checkpoint);

}  // namespace adaspan
