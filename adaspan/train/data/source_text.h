// SPDX-License-Identifier: MIT
// A text that is being prepared: read in blocks, so that its size costs no memory, and hashed on
// the way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <adaspan/core/file.h>
#include <adaspan/core/sha256.h>
#include <adaspan/train/data/newline.h>

namespace adaspan {

/// Receives the next bytes of a text.
using TextVisitor = std::function<void(std::string_view)>;

class SourceText {
 public:
  /// `on_read`, if any, is called with the bytes of each block that was read. Throws Error when
  /// there is no such file.
  explicit SourceText(const std::filesystem::path& path, std::function<void(uint64_t)> on_read = {})
      : file_(path), on_read_(std::move(on_read)) {}

  uint64_t size() const { return file_.size(); }
  /// Calls visit(block) for the bytes of [begin, end) in turn. Throws Error when they are no longer
  /// what they were when the text was opened.
  void read(uint64_t begin, uint64_t end, const TextVisitor& visit);
  /// The place after the first newline from `begin` on, or the end of the text.
  uint64_t after_line(uint64_t begin) const;
  /// SHA-256 of the whole text; what of it was not yet read is read for it.
  std::string sha256();

 private:
  InputFile file_;
  std::function<void(uint64_t)> on_read_;
  Sha256 sum_;
  uint64_t summed_ = 0;  // bytes, from the start of the text
};

/// The bytes [begin, end) of a text.
struct PartOfText {
  SourceText* text;
  uint64_t begin, end;

  uint64_t size() const { return end - begin; }
  /// Calls visit(block) for those of them that `reading` does not drop, in turn. Throws Error when
  /// they are no longer what they were when the text was opened.
  void read(const Reading& reading, const TextVisitor& visit) const;
};

}  // namespace adaspan
