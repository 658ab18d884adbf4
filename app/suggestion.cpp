// SPDX-License-Identifier: MIT
#include "app/suggestion.h"

#include <fmt/core.h>

#include <algorithm>

#include "adaspan/core/error.h"

namespace adaspan {

size_t edit_distance(std::string_view a, std::string_view b) {
  // before[j], last[j]: of the first i-2 and i-1 letters of a to the first j of b
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

std::string most_like(std::string_view word, const std::vector<std::string>& among) {
  const std::string* best = nullptr;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& one : among) {
    // A single letter of one is no likeness.
    const size_t distance = edit_distance(word, one);
    if (distance < least && distance < std::max(word.size(), one.size())) {
      least = distance;
      best = &one;
    }
  }
  return best ? *best : "";
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& among) {
  const std::string like = most_like(word, among);
  return like.empty() ? "" : fmt::format("; did you mean {}?", like);
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::vector<std::string> alternatives(std::string_view type) {
  std::vector<std::string> all;
  if (type.find('|') == std::string_view::npos) return all;
  for (size_t begin = 0; begin <= type.size();) {
    const size_t end = std::min(type.find('|', begin), type.size());
    all.emplace_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

void require_alternative(const std::string& name, const std::string& text, std::string_view type) {
  const std::vector<std::string> all = alternatives(type);
  const auto has = [&](const std::string& word) {
    return std::ranges::find(all, word) != all.end();
  };
  require(all.empty() || has("FILE") || has(text),
          "[settings] expected --{} to be {}; got \"{}\"{}", name, listed(all), text,
          did_you_mean(text, all));
}

}  // namespace adaspan
