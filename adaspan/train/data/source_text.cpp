// SPDX-License-Identifier: MIT
#include "adaspan/train/data/source_text.h"

#include <algorithm>

#include "adaspan/core/error.h"

namespace adaspan {

void SourceText::read(uint64_t begin, uint64_t end, const TextVisitor& visit) {
  uint64_t at = begin;
  file_.read_blocks(begin, end, [&](std::span<const std::byte> block) {
    if (at == summed_) {  // else it was read, and summed, before
      sum_.update(block);
      summed_ += block.size();
    }
    at += block.size();
    visit({reinterpret_cast<const char*>(block.data()), block.size()});
    if (on_read_) on_read_(block.size());
  });
  require(!file_.changed(),
          "[prepare] expected {} to stay as it was while it is read; got a changed one; prepare it "
          "again when it is complete",
          file_.path().string());
}

uint64_t SourceText::after_line(uint64_t begin) const {
  std::string block(4096, '\0');
  while (begin < size()) {
    block.resize(std::min<uint64_t>(block.size(), size() - begin));
    file_.read(begin, std::as_writable_bytes(std::span(block)));
    const size_t newline = block.find('\n');
    if (newline != std::string::npos) return begin + newline + 1;
    begin += block.size();
  }
  return size();
}

std::string SourceText::sha256() {
  read(summed_, size(), [](std::string_view) {});
  return sum_.digits();
}

void PartOfText::read(const Reading& reading, const TextVisitor& visit) const {
  if (reading.newline == Newline::keep) return text->read(begin, end, visit);
  WithoutNewlines kept(reading.format);
  text->read(begin, end, [&](std::string_view block) { kept.add(block, visit); });
}

}  // namespace adaspan
