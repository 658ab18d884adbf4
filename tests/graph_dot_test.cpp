// SPDX-License-Identifier: MIT
#include "adaspan/autograd/graph_dot.h"

#include <doctest/doctest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace adaspan {
namespace {

struct Graph {
  std::map<std::string, std::string> labels;                 // node -> label
  std::map<std::string, std::string> forms;                  // node -> shape it is drawn in
  std::multiset<std::pair<std::string, std::string>> edges;  // by label
};

/// Reads the part of DOT that is written here; anything else fails the test.
Graph parse(const std::string& dot) {
  const std::regex node(R"re(  (n\d+) \[shape=(box|ellipse), label="([^"]*)"\];)re");
  const std::regex edge(R"(  (n\d+) -> (n\d+);)");
  Graph graph;
  std::istringstream lines(dot);
  std::string line;
  REQUIRE(std::getline(lines, line));
  CHECK(line == "digraph tape {");
  REQUIRE(std::getline(lines, line));
  CHECK(line == "  rankdir=BT;");
  for (std::smatch match; std::getline(lines, line) && line != "}";) {
    CAPTURE(line);
    if (std::regex_match(line, match, node)) {
      CHECK(graph.labels.emplace(match[1], match[3]).second);
      graph.forms.emplace(match[1], match[2]);
    } else {
      REQUIRE(std::regex_match(line, match, edge));
      graph.edges.emplace(graph.labels.at(match[1]), graph.labels.at(match[2]));
    }
  }
  CHECK(line == "}");
  CHECK_FALSE(std::getline(lines, line));
  return graph;
}

Variable op(Tape& tape, const char* name, std::vector<Variable> inputs, Shape shape) {
  return tape.record(name, std::move(inputs), Tensor::zeros(std::move(shape)), [](Tensor) {});
}

std::string form_of(const Graph& graph, const std::string& label) {
  for (const auto& [node, other] : graph.labels) {
    if (other == label) return graph.forms.at(node);
  }
  return "no such node";
}

}  // namespace

TEST_CASE("ops are boxes, parameters ellipses, and edges go from inputs to outputs") {
  Parameter weight("layers.0.weight", Tensor::zeros(Shape{3, 2}));
  const Variable data = Variable::constant(Tensor::zeros(Shape{4, 3}));
  Tape tape;
  const Variable y = op(tape, "linear", {data, weight.variable()}, Shape{4, 2});
  const Variable z = op(tape, "relu", {y}, Shape{4, 2});
  op(tape, "add", {y, z}, Shape{4, 2});

  const Graph graph = parse(graph_dot(tape));
  CHECK(graph.labels.size() == 4);
  CHECK(form_of(graph, R"(layers.0.weight\n[3, 2])") == "ellipse");
  CHECK(form_of(graph, R"(linear\n[4, 2])") == "box");
  CHECK(form_of(graph, R"(relu\n[4, 2])") == "box");
  CHECK(graph.edges == std::multiset<std::pair<std::string, std::string>>{
                           {R"(layers.0.weight\n[3, 2])", R"(linear\n[4, 2])"},
                           {R"(linear\n[4, 2])", R"(relu\n[4, 2])"},
                           {R"(linear\n[4, 2])", R"(add\n[4, 2])"},
                           {R"(relu\n[4, 2])", R"(add\n[4, 2])"}});
}

TEST_CASE("two ops of one name are two nodes, and a value used twice has two edges") {
  Parameter a("a", Tensor::zeros(Shape{2}));
  Tape tape;
  const Variable y = op(tape, "square", {a.variable(), a.variable()}, Shape{2});
  op(tape, "square", {y, y}, Shape{2});
  const Graph graph = parse(graph_dot(tape));
  CHECK(graph.labels.size() == 3);
  CHECK(graph.edges.size() == 4);
}

TEST_CASE("a tape without entries draws an empty graph") {
  const Graph graph = parse(graph_dot(Tape()));
  CHECK(graph.labels.empty());
  CHECK(graph.edges.empty());
}

}  // namespace adaspan
