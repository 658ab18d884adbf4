// SPDX-License-Identifier: MIT
// Files: read in blocks, or replaced as a whole. A reader of a replaced file sees the old
// content or the new one, never a part, whatever happens to the writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace adaspan {

/// What readers and writers of large files handle at a time, in bytes.
inline constexpr size_t kFileBlock = 1 << 18;

/// A regular file that is open for reading. It stays readable when it is renamed, removed or
/// replaced; what happens to its bytes, the reader is told.
class InputFile {
 public:
  /// Throws Error when there is no such file, or it is none that can be read.
  explicit InputFile(const std::filesystem::path& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::filesystem::path& path() const { return path_; }
  /// Bytes, when it was opened.
  uint64_t size() const { return size_; }
  /// Whether it was written to since it was opened.
  bool changed() const;
  /// Fills `out` with the bytes from `begin` on. Throws DamagedFile when they are not all there, as
  /// after the file was cut, or cannot be read. Any number of threads may read at once.
  void read(uint64_t begin, std::span<std::byte> out) const;
  /// Calls visit(block) for the bytes of [begin, end) in turn, at most kFileBlock at a time. Throws
  /// as read does.
  void read_blocks(uint64_t begin, uint64_t end,
                   const std::function<void(std::span<const std::byte>)>& visit) const;

 private:
  std::filesystem::path path_;
  int fd_;
  uint64_t size_ = 0;
  int64_t modified_ = 0;  // nanoseconds
};

/// Receives the next bytes of a file that is being written.
using ByteSink = std::function<void(std::span<const std::byte>)>;

/// Replaces `path` by what `write` puts into its sink: a temporary beside it, flushed to the disk,
/// then renamed, then the folder flushed. On any failure (a full disk) the old file stays, the
/// temporary goes, and Error is thrown. What `write` throws passes through.
void atomic_write(const std::filesystem::path& path,
                  const std::function<void(const ByteSink&)>& write);
void atomic_write(const std::filesystem::path& path, std::string_view text);

/// Keeps other processes from taking the same folder; ends with the process, however that ends.
class FolderLock {
 public:
  /// Throws Error when another process has the folder.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_;
};

/// Makes the folder that `path` lies in, if it is not there. Throws Error when it cannot.
void make_folder_of(const std::filesystem::path& path);

/// The whole file as text. Throws Error when it cannot be read.
std::string read_text(const std::filesystem::path& path);

}  // namespace adaspan
