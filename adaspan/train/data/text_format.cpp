// SPDX-License-Identifier: MIT
#include "adaspan/train/data/text_format.h"

#include "adaspan/core/error.h"

namespace adaspan {

const char* name(TextFormat format) {
  switch (format) {
    case TextFormat::bytes:
      return "bytes";
    case TextFormat::enwik8:
      return "enwik8";
    case TextFormat::text8:
      return "text8";
    case TextFormat::words:
      return "words";
  }
  return "unknown";
}

TextFormat text_format(std::string_view text) {
  for (TextFormat format :
       {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8, TextFormat::words}) {
    if (text == name(format)) return format;
  }
  fail("[prepare] expected the format bytes, enwik8, text8 or words; got \"{}\"; choose one", text);
}

}  // namespace adaspan
