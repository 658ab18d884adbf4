// SPDX-License-Identifier: MIT
// Draws what a tape recorded, for teaching: `dot -Tsvg graph.dot`.
#pragma once

#include <string>

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// The recorded computation in Graphviz's DOT language: ops as boxes with the shape of their
/// output, parameters as ellipses. To be called before backward(), which consumes the tape.
std::string graph_dot(const Tape& tape);

}  // namespace adaspan
