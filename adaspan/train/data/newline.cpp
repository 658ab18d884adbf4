// SPDX-License-Identifier: MIT
#include "adaspan/train/data/newline.h"

#include "adaspan/core/error.h"

namespace adaspan {

const char* name(Newline newline) {
  return newline == Newline::keep ? "keep" : "drop";
}

Newline newline_of(std::string_view text) {
  for (const Newline newline : {Newline::keep, Newline::drop}) {
    if (text == name(newline)) return newline;
  }
  fail("[prepare] expected prepare.newline to be keep or drop; got \"{}\"; choose one", text);
}

bool ends_with_added_line(std::string_view text, const Reading& reading) {
  if (reading.newline == Newline::drop) return false;
  switch (reading.format) {
    case TextFormat::bytes:
      return false;
    case TextFormat::text8:
      return true;
    default:
      return !text.ends_with('\n');
  }
}

std::string text_of(const Reading& reading) {
  const bool dropped = reading.newline == Newline::drop;
  return std::string(name(reading.format)) + ", newlines " + (dropped ? "dropped" : "kept");
}

}  // namespace adaspan
