// SPDX-License-Identifier: MIT
#include "adaspan/autograd/graph_dot.h"

#include <fmt/format.h>

#include <map>

namespace adaspan {

std::string graph_dot(const Tape& tape) {
  std::string dot = "digraph tape {\n  rankdir=BT;\n";
  std::map<const Gradient*, size_t> ids;
  const auto node = [&](const Gradient& gradient, const char* form) {
    const auto [found, fresh] = ids.emplace(&gradient, ids.size());
    if (fresh) {
      dot += fmt::format("  n{} [shape={}, label=\"{}\\n{}\"];\n", found->second, form,
                         gradient.name(), gradient.shape().text());
    }
    return found->second;
  };
  for (const Tape::Entry& entry : tape.entries()) {
    const size_t to = node(*entry.output, "box");
    // An input that no earlier entry made is a leaf: a parameter.
    for (const auto& input : entry.inputs) {
      const size_t from = node(*input, "ellipse");
      dot += fmt::format("  n{} -> n{};\n", from, to);
    }
  }
  return dot + "}\n";
}

}  // namespace adaspan
