// SPDX-License-Identifier: MIT
#include "adaspan/core/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

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
  bool close() { return ::close(release()) == 0; }
  /// Leaves it open.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int64_t modified(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

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

InputFile::InputFile(const std::filesystem::path& path)
    // Without waiting, as for a pipe that nobody writes to: that is refused below.
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  require(fd_ >= 0, "[file] expected a readable file at {}; got: {}", path.string(),
          std::strerror(errno));
  Descriptor closed_on_failure(fd_);
  struct stat status {};
  require(::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode),
          "[file] expected a regular file at {}; got something else", path.string());
  size_ = static_cast<uint64_t>(status.st_size);
  modified_ = modified(status);
  closed_on_failure.release();
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(std::exchange(other.size_, 0)),
      modified_(other.modified_) {}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool InputFile::changed() const {
  struct stat status {};
  return ::fstat(fd_, &status) != 0 || static_cast<uint64_t>(status.st_size) != size_ ||
         modified(status) != modified_;
}

void InputFile::read(uint64_t begin, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(begin));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      throw DamagedFile(
          fmt::format("[file] expected {} bytes in {}; got: {}", size_, path_.string(),
                      n < 0 ? std::strerror(errno) : fmt::format("an end after {}", begin)));
    }
    begin += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
}

void InputFile::read_blocks(uint64_t begin, uint64_t end,
                            const std::function<void(std::span<const std::byte>)>& visit) const {
  std::vector<std::byte> block(std::min<uint64_t>(kFileBlock, end - begin));
  while (begin < end) {
    const std::span some(block.data(), std::min<uint64_t>(block.size(), end - begin));
    read(begin, some);
    visit(some);
    begin += some.size();
  }
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
  const InputFile file(path);
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace adaspan
