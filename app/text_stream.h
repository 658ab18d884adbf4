// SPDX-License-Identifier: MIT
// From tokens, as they come, to text that can be shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

class TextStream {
 public:
  /// With `stop` the text ends before the first place where it stands; an empty one stands nowhere.
  TextStream(const Vocabulary& vocabulary, TextFormat format, std::string stop = "");

  /// Takes one more token; returns what can now be shown: whole characters, and nothing that may
  /// yet become part of the stop text.
  std::string add(int32_t id);
  /// Whether the stop text has come. What follows is nothing.
  bool stopped() const { return stopped_; }
  /// What is left when no more tokens come.
  std::string rest();
  /// All of it.
  const std::string& text() const { return text_; }

 private:
  std::string shown_up_to(size_t end);

  const Vocabulary& vocabulary_;
  TextFormat format_;
  std::string stop_;
  std::string text_;
  size_t shown_ = 0;  // bytes
  int32_t last_ = -1;
  bool stopped_ = false;
};

}  // namespace adaspan
