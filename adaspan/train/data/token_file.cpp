// SPDX-License-Identifier: MIT
#include "adaspan/train/data/token_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

static_assert(std::endian::native == std::endian::little, "ids are mapped as they lie on disk");

constexpr std::array<char, 8> kMagic{'a', 'd', 'a', 't', 'o', 'k', 'e', 'n'};
constexpr uint32_t kVersion = 1;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t bytes_per_id = 0;
  uint64_t size = 0;
};
static_assert(sizeof(Header) == 24);

template <class Id>
void write_ids(const ByteSink& sink, std::span<const int32_t> ids) {
  std::vector<Id> narrow;
  for (size_t begin = 0; begin < ids.size(); begin += narrow.size()) {
    const auto some = ids.subspan(begin, std::min(ids.size() - begin, size_t{1} << 20));
    narrow.assign(some.begin(), some.end());
    sink(std::as_bytes(std::span(narrow)));
  }
}

}  // namespace

/// Calls use(ids), ids a pointer to the first one, of the type they have on disk.
template <class Use>
auto TokenFile::with_ids(const Use& use) const {
  const std::byte* data = file_.bytes().data() + sizeof(Header);
  if (bytes_per_id_ == 1) return use(reinterpret_cast<const uint8_t*>(data));
  if (bytes_per_id_ == 2) return use(reinterpret_cast<const uint16_t*>(data));
  return use(reinterpret_cast<const uint32_t*>(data));
}

TokenFile::TokenFile(const std::filesystem::path& path, int64_t vocabulary_size) : file_(path) {
  const size_t bytes = file_.bytes().size();
  Header header;
  if (bytes >= sizeof header) std::memcpy(&header, file_.bytes().data(), sizeof header);
  require(bytes >= sizeof header && header.magic == kMagic && header.version == kVersion,
          "[corpus] expected a token file of version {} at {}; got something else; run `adaspan "
          "prepare` again",
          kVersion, path.string());
  const uint32_t width = header.bytes_per_id;
  const uint64_t data = bytes - sizeof header;
  require(
      (width == 1 || width == 2 || width == 4) && data % width == 0 && data / width == header.size,
      "[corpus] expected {} ids of {} bytes in {}; got {} bytes; the file is damaged: run "
      "`adaspan prepare` again",
      header.size, width, path.string(), data);
  bytes_per_id_ = static_cast<int>(width);
  size_ = static_cast<int64_t>(header.size);
  const int64_t largest = with_ids([&](auto* ids) {
    return size_ == 0 ? int64_t{-1} : int64_t{*std::max_element(ids, ids + size_)};
  });
  require(largest < vocabulary_size,
          "[corpus] expected ids below {} in {}; got {}; the file is damaged: run `adaspan "
          "prepare` again",
          vocabulary_size, path.string(), largest);
}

int32_t TokenFile::operator[](int64_t i) const {
  assert(i >= 0 && i < size_);
  return with_ids([&](auto* ids) { return static_cast<int32_t>(ids[i]); });
}

void TokenFile::read(int64_t begin, int64_t n, int32_t* out) const {
  require(
      begin >= 0 && n >= 0 && n <= size_ - begin,
      "[corpus] expected a range within {} tokens; got {} tokens from {}; the text is too short "
      "for this batch and block",
      size_, n, begin);
  with_ids([&](auto* ids) { std::copy_n(ids + begin, n, out); });
}

void write_token_file(const std::filesystem::path& path, std::span<const int32_t> ids,
                      int64_t vocabulary_size) {
  const uint32_t width = vocabulary_size <= 1 << 8 ? 1 : vocabulary_size <= 1 << 16 ? 2 : 4;
  atomic_write(path, [&](const ByteSink& sink) {
    const Header header{.bytes_per_id = width, .size = ids.size()};
    sink(std::as_bytes(std::span(&header, 1)));
    if (width == 1)
      write_ids<uint8_t>(sink, ids);
    else if (width == 2)
      write_ids<uint16_t>(sink, ids);
    else
      sink(std::as_bytes(ids));
  });
}

}  // namespace adaspan
