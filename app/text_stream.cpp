// SPDX-License-Identifier: MIT
#include "app/text_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace adaspan {
namespace {

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// How many bytes at the end of `text` are the beginning of a character that is not all there.
size_t unfinished(std::string_view text) {
  for (size_t n = 1; n <= std::min<size_t>(3, text.size()); ++n) {
    const auto byte = static_cast<unsigned char>(text[text.size() - n]);
    if (is_continuation(static_cast<char>(byte))) continue;
    const size_t whole = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    return whole > n && byte <= 0xf4 ? n : 0;
  }
  return 0;
}

/// How many bytes at the end of `text` are the beginning of `stop`.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.empty() ? 0 : stop.size() - 1); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(const Vocabulary& vocabulary, TextFormat format, std::string stop)
    : vocabulary_(vocabulary), format_(format), stop_(std::move(stop)) {}

std::string TextStream::add(int32_t id) {
  if (stopped_) return "";
  // What a word adds depends on the token before it alone.
  std::string more = vocabulary_.decode({&id, 1}, format_);
  if (last_ >= 0) {
    const int32_t two[] = {last_, id};
    more = vocabulary_.decode(two, format_).substr(vocabulary_.decode({&last_, 1}, format_).size());
  }
  last_ = id;
  const size_t before = text_.size();
  text_ += more;
  if (!stop_.empty()) {
    const size_t from = before - std::min(before, stop_.size() - 1);
    const size_t found = text_.find(stop_, from);
    if (found != std::string::npos) {
      text_.resize(found);
      stopped_ = true;
      return rest();
    }
  }
  return shown_up_to(text_.size() - std::max(unfinished(text_), begun(text_, stop_)));
}

std::string TextStream::rest() {
  return shown_up_to(text_.size());
}

std::string TextStream::shown_up_to(size_t end) {
  if (end <= shown_) return "";
  const size_t begin = std::exchange(shown_, end);
  return text_.substr(begin, end - begin);
}

}  // namespace adaspan
