// SPDX-License-Identifier: MIT
#include "adaspan/core/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "adaspan/core/error.h"

namespace adaspan {
namespace {

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

[[noreturn]] void fail_write(const std::filesystem::path& path, int error) {
  fail(
      "[file] expected to write {}; got: {}; free some space or choose another folder (the old "
      "file, if any, is unchanged)",
      path.string(), std::strerror(error));
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_write(path, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void flush_folder(const std::filesystem::path& folder) {
  Descriptor fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY));
  require(
      fd.get() >= 0 && ::fsync(fd.get()) == 0,
      "[file] expected to flush the folder {} to the disk; got: {}; its new file may not survive "
      "a power cut",
      folder.string(), std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY));
  require(fd.get() >= 0, "[file] expected a readable file at {}; got: {}", path.string(),
          std::strerror(errno));
  struct stat status {};
  require(::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode),
          "[file] expected a regular file at {}; got something else", path.string());
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  require(data != MAP_FAILED, "[file] expected to map {}; got: {}", path.string(),
          std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void atomic_write(const std::filesystem::path& path,
                  const std::function<void(const ByteSink&)>& write) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  try {
    Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (fd.get() < 0) fail_write(path, errno);
    write([&](std::span<const std::byte> bytes) { write_all(fd.get(), bytes, path); });
    if (::fsync(fd.get()) != 0 || !fd.close()) fail_write(path, errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  flush_folder(path.parent_path());
}

void atomic_write(const std::filesystem::path& path, std::string_view text) {
  atomic_write(path, [&](const ByteSink& sink) { sink(std::as_bytes(std::span(text))); });
}

FolderLock::FolderLock(const std::filesystem::path& folder)
    : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  require(fd_ >= 0, "[file] expected a folder at {}; got: {}", folder.string(),
          std::strerror(errno));
  const bool taken = ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (!taken) return;  // or a file system without locks: then there is no guard
  ::close(fd_);
  fail(
      "[file] expected {} for this run alone; got: another one is at work in it; wait for its end "
      "or choose another folder",
      folder.string());
}

FolderLock::~FolderLock() {
  ::close(fd_);
}

void make_folder_of(const std::filesystem::path& path) {
  if (!path.has_parent_path()) return;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  require(!error, "[file] expected to make the folder {}; got: {}; choose another path",
          path.parent_path().string(), error.message());
}

std::string read_text(const std::filesystem::path& path) {
  return std::string(MappedFile(path).text());
}

}  // namespace adaspan
