// SPDX-License-Identifier: MIT
// Files: mapped for reading, or replaced as a whole. A reader of a replaced file sees the old
// content or the new one, never a part, whatever happens to the writer.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace adaspan {

/// A file's bytes, mapped read-only.
class MappedFile {
 public:
  /// Throws Error when the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
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
