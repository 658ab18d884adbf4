// SPDX-License-Identifier: MIT
#include "adaspan/train/data/token_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/sha256.h"

namespace adaspan {
namespace {

static_assert(std::endian::native == std::endian::little, "ids are read as they lie on disk");

constexpr std::array<char, 8> kMagic{'a', 'd', 'a', 't', 'o', 'k', 'e', 'n'};
constexpr uint32_t kVersion = 1;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t bytes_per_id = 0;
  uint64_t size = 0;
};
static_assert(sizeof(Header) == 24);
static_assert(kFileBlock % sizeof(uint32_t) == 0 && sizeof(Header) % sizeof(uint32_t) == 0,
              "no id lies in two blocks");

template <class Id>
int64_t largest_id(std::span<const std::byte> bytes) {
  Id largest = 0;
  for (size_t i = 0; i < bytes.size(); i += sizeof(Id)) {
    Id id;
    std::memcpy(&id, bytes.data() + i, sizeof id);
    largest = std::max(largest, id);
  }
  return largest;
}

template <class... Args>
void require_whole(bool ok, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) throw DamagedFile(fmt::format(text, std::forward<Args>(args)...));
}

/// Calls use(id), id of the type that has so many bytes.
template <class Use>
auto with_type_of_bytes(int bytes_per_id, const Use& use) {
  if (bytes_per_id == 1) return use(uint8_t{});
  if (bytes_per_id == 2) return use(uint16_t{});
  return use(uint32_t{});
}

}  // namespace

bool is_token_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8> magic{};
  return file.read(magic.data(), magic.size()) && magic == kMagic;
}

TokenFile::TokenFile(const std::filesystem::path& path, int64_t vocabulary_size)
    : file_(path), vocabulary_size_(vocabulary_size) {
  const uint64_t bytes = file_.size();
  Header header;
  if (bytes >= sizeof header) file_.read(0, std::as_writable_bytes(std::span(&header, 1)));
  require_whole(bytes >= sizeof header && header.magic == kMagic && header.version == kVersion,
                "[corpus] expected a token file of version {} at {}; got something else; run "
                "`adaspan prepare` again",
                kVersion, path.string());
  const uint32_t width = header.bytes_per_id;
  const uint64_t data = bytes - sizeof header;
  require_whole(
      (width == 1 || width == 2 || width == 4) && data % width == 0 && data / width == header.size,
      "[corpus] expected {} ids of {} bytes in {}; got {} bytes; the file is damaged: run "
      "`adaspan prepare` again",
      header.size, width, path.string(), data);
  bytes_per_id_ = static_cast<int>(width);
  size_ = static_cast<int64_t>(header.size);

  Sha256 sum;
  sum.update(std::as_bytes(std::span(&header, 1)));
  int64_t largest = -1;
  file_.read_blocks(sizeof header, bytes, [&](std::span<const std::byte> block) {
    sum.update(block);
    largest = std::max(largest, with_type_of_bytes(bytes_per_id_, [&]<class Id>(Id) {
                         return largest_id<Id>(block);
                       }));
  });
  sha256_ = sum.digits();
  require_whole(largest < vocabulary_size,
                "[corpus] expected ids below {} in {}; got {}; the file is damaged: run `adaspan "
                "prepare` again",
                vocabulary_size, path.string(), largest);
}

void TokenFile::lost(const std::string& what) const {
  throw DataLost(fmt::format(
      "[corpus] expected {} to stay as it was when it was opened; got: {}; run `adaspan "
      "prepare` again, then go on",
      file_.path().string(), what));
}

int32_t TokenFile::operator[](int64_t i) const {
  int32_t id;
  read(i, 1, &id);
  return id;
}

void TokenFile::read(int64_t begin, int64_t n, int32_t* out) const {
  require(
      begin >= 0 && n >= 0 && n <= size_ - begin,
      "[corpus] expected a range within {} tokens; got {} tokens from {}; the text is too short "
      "for this batch and block",
      size_, n, begin);
  if (file_.changed()) lost("a file that was cut or written to");
  with_type_of_bytes(bytes_per_id_, [&]<class Id>(Id) {
    std::array<Id, 4096> block;
    for (int64_t done = 0; done < n;) {
      const auto some = std::span(block).first(
          static_cast<size_t>(std::min<int64_t>(n - done, int64_t{block.size()})));
      try {
        file_.read(sizeof(Header) + static_cast<uint64_t>(begin + done) * sizeof(Id),
                   std::as_writable_bytes(some));
      } catch (const DamagedFile& e) {
        lost(e.what());
      }
      // Two writes within one tick of the file system's clock have the same time.
      if (std::any_of(some.begin(), some.end(), [&](Id id) { return id >= vocabulary_size_; }))
        lost("other ids");
      std::copy(some.begin(), some.end(), out + done);
      done += static_cast<int64_t>(some.size());
    }
  });
}

std::string write_token_file(const std::filesystem::path& path, int64_t size,
                             int64_t vocabulary_size,
                             const std::function<void(const IdSink&)>& write) {
  const int width = vocabulary_size <= 1 << 8 ? 1 : vocabulary_size <= 1 << 16 ? 2 : 4;
  Sha256 sum;
  atomic_write(path, [&](const ByteSink& file) {
    const auto put = [&](std::span<const std::byte> bytes) {
      sum.update(bytes);
      file(bytes);
    };
    const Header header{.bytes_per_id = static_cast<uint32_t>(width),
                        .size = static_cast<uint64_t>(size)};
    put(std::as_bytes(std::span(&header, 1)));
    int64_t written = 0;
    with_type_of_bytes(width, [&]<class Id>(Id) {
      std::vector<Id> narrow;
      write([&](std::span<const int32_t> ids) {
        written += static_cast<int64_t>(ids.size());
        while (!ids.empty()) {
          const auto some = ids.first(std::min(ids.size(), kFileBlock));
          narrow.assign(some.begin(), some.end());
          put(std::as_bytes(std::span(narrow)));
          ids = ids.subspan(some.size());
        }
      });
    });
    require(written == size,
            "[corpus] expected {} ids for {}; got {}; did the text change while it was read?", size,
            path.string(), written);
  });
  return sum.digits();
}

std::string write_token_file(const std::filesystem::path& path, std::span<const int32_t> ids,
                             int64_t vocabulary_size) {
  return write_token_file(path, static_cast<int64_t>(ids.size()), vocabulary_size,
                          [&](const IdSink& sink) { sink(ids); });
}

}  // namespace adaspan
