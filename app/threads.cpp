// SPDX-License-Identifier: MIT
#include "app/threads.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdlib>

namespace adaspan {

std::optional<int> threads_of_variable(std::string_view value) {
  std::optional<int> first;
  while (true) {
    const size_t comma = std::min(value.find(','), value.size());
    std::string_view word = value.substr(0, comma);
    word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
    word = word.substr(0, word.find_last_not_of(" \t") + 1);
    if (word.starts_with('+')) word.remove_prefix(1);
    int number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    const bool sound = error == std::errc() && end == word.data() + word.size() && number >= 1;
    if (!sound || number > kMostThreads) return {};
    if (!first) first = number;
    if (comma == value.size()) return first;
    value.remove_prefix(comma + 1);
  }
}

ProcessOptions process_options(Output& output, int threads, std::optional<Isa> isa) {
  if (threads > 0) return {.threads = threads, .why = "--threads", .isa = isa};
  const char* variable = std::getenv("OMP_NUM_THREADS");
  if (variable == nullptr || *variable == '\0') return {.isa = isa};
  const std::optional<int> asked = threads_of_variable(variable);
  if (asked) return {.threads = *asked, .why = "OMP_NUM_THREADS", .isa = isa};
  output.note(fmt::format("OMP_NUM_THREADS is ignored: expected a number of threads; got \"{}\"",
                          variable));
  return {.isa = isa};
}

}  // namespace adaspan
