// SPDX-License-Identifier: MIT
#include "adaspan/train/data/encode_part.h"

#include <algorithm>
#include <array>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

using Ids = std::vector<int32_t>;

/// The ids of the bytes that are known, -1 for others.
std::array<int32_t, 256> ids_of_bytes(const Vocabulary& vocabulary, TextFormat format) {
  std::array<int32_t, 256> ids;
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    const char c = static_cast<char>(byte);
    for_each_token({&c, 1}, format,
                   [&](const Token& token) { ids[byte] = vocabulary.find(token).value_or(-1); });
  }
  return ids;
}

}  // namespace

void encode_part(const PartOfText& part, const Reading& reading, const Vocabulary& vocabulary,
                 const IdSink& sink) {
  const TextFormat format = reading.format;
  const auto id_of = [&](const Token& token) {
    const auto id = vocabulary.find(token);
    return id ? *id : vocabulary.unknown().value_or(-1);
  };
  // Only a text that changed between its two readings has tokens that were not counted.
  const auto give = [&](const Ids& ids) {
    require(std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id >= 0; }),
            "[prepare] expected a text that stays as it is while it is read; got a changed one; "
            "prepare it again when it is complete");
    sink(ids);
  };
  Ids ids;
  char last = 0;
  if (format == TextFormat::words) {
    WholeWords words;
    const auto take = [&](std::string_view piece) {
      ids.clear();
      for_each_token(piece, format, [&](const Token& token) { ids.push_back(id_of(token)); });
      give(ids);
    };
    part.read(reading, [&](std::string_view block) {
      last = block.back();
      words.add(block, take);
    });
    words.finish(take);
  } else {
    const auto table = ids_of_bytes(vocabulary, format);
    part.read(reading, [&](std::string_view block) {
      last = block.back();
      ids.resize(block.size());
      for (size_t i = 0; i < block.size(); ++i) {
        ids[i] = table[static_cast<unsigned char>(block[i])];
      }
      give(ids);
    });
  }
  if (ends_with_added_line({&last, 1}, reading)) give({id_of(kEndOfLine)});
}

}  // namespace adaspan
