// SPDX-License-Identifier: MIT
#include "adaspan/train/data/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "adaspan/core/error.h"
#include "adaspan/train/data/utf8.h"

namespace adaspan {
namespace {

class Encoder {
 public:
  Encoder(const Vocabulary& vocabulary, const Reading& reading, UnknownTokens unknown)
      : vocabulary_(vocabulary), reading_(reading), format_(reading.format), unknown_(unknown) {}

  Prompt encode(std::string_view text) {
    if (format_ == TextFormat::words) {
      for_each_token(text, format_, [&](const Token& token) { add_word(token); });
    } else {
      for (; !text.empty(); text.remove_prefix(first_character(text).bytes)) add_character(text);
    }
    require(known_ > 0,
            "[prompt] expected a prompt with at least one of the {} tokens of the corpus; got {}; "
            "write something that the corpus has",
            vocabulary_.size(), place_ == 0 ? "an empty one" : "unknown ones alone");
    return std::move(prompt_);
  }

 private:
  void add_word(const Token& token) {
    if (!token.end_of_line) ++place_;
    std::optional<int32_t> id = vocabulary_.find(token);
    if (!id && unknown_ == UnknownTokens::refuse && !token.end_of_line) {
      id = vocabulary_.unknown();
      prompt_.replaced += id.has_value();
    }
    if (!id) {
      return leave_out(
          token.end_of_line ? "the end of a line" : fmt::format("\"{}\"", visible(token.bytes)),
          "word");
    }
    prompt_.ids.push_back(*id);
    known_ += id != vocabulary_.unknown();
  }

  void add_character(std::string_view text) {
    ++place_;
    if (reading_.newline == Newline::drop && text[0] == '\n') {
      ++prompt_.newlines;
      return;
    }
    const Character c = first_character(text);
    std::vector<int32_t> ids;
    for_each_token(text.substr(0, c.bytes), format_, [&](const Token& token) {
      if (const auto id = vocabulary_.find(token)) ids.push_back(*id);
    });
    if (ids.size() < c.bytes) {
      const std::string shown = visible(text.substr(0, c.bytes));
      return leave_out(c.code ? fmt::format("\"{}\" (U+{:04X})", shown, *c.code)
                              : fmt::format("the byte {}", shown),
                       "character");
    }
    prompt_.ids.insert(prompt_.ids.end(), ids.begin(), ids.end());
    ++known_;
  }

  void leave_out(const std::string& what, const char* kind) {
    require(unknown_ == UnknownTokens::skip,
            "[prompt] expected text made of the {} tokens of the corpus; got {}, {} {} of the "
            "prompt, which is none of them; take it out, or set generate.unknown to skip",
            vocabulary_.size(), what, kind, std::max<int64_t>(place_, 1));
    ++prompt_.skipped;
  }

  const Vocabulary& vocabulary_;
  Reading reading_;
  TextFormat format_;
  UnknownTokens unknown_;
  Prompt prompt_;
  int64_t place_ = 0;  // of the word or character, from 1
  int64_t known_ = 0;  // tokens, without <unk>
};

}  // namespace

const char* name(UnknownTokens unknown) {
  return unknown == UnknownTokens::refuse ? "refuse" : "skip";
}

UnknownTokens unknown_tokens(std::string_view text) {
  for (const UnknownTokens unknown : {UnknownTokens::refuse, UnknownTokens::skip}) {
    if (text == name(unknown)) return unknown;
  }
  fail("[prompt] expected generate.unknown to be refuse or skip; got \"{}\"; choose one", text);
}

Prompt encode_prompt(std::string_view text, const Vocabulary& vocabulary, const Reading& reading,
                     UnknownTokens unknown) {
  return Encoder(vocabulary, reading, unknown).encode(text);
}

}  // namespace adaspan
