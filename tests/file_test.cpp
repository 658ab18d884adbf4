// SPDX-License-Identifier: MIT
#include "adaspan/core/file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "adaspan/core/error.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using Names = std::vector<std::string>;

std::string text_of(const InputFile& file) {
  std::string text(file.size(), ' ');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

Names names_in(const TemporaryFolder& folder) {
  Names names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

}  // namespace

TEST_CASE("a file that was written is read back") {
  const TemporaryFolder folder;
  const std::string text("a\0b\nc", 5);
  atomic_write(folder / "file", text);
  CHECK(read_text(folder / "file") == text);
  CHECK(names_in(folder) == Names{"file"});
}

TEST_CASE("the parts given to the sink follow one another") {
  const TemporaryFolder folder;
  std::string expected;
  atomic_write(folder / "file", [&](const ByteSink& sink) {
    for (int i = 0; i < 1000; ++i) {
      const std::string part(static_cast<size_t>(i), static_cast<char>('a' + i % 26));
      sink(std::as_bytes(std::span(part)));
      expected += part;
    }
  });
  CHECK(read_text(folder / "file") == expected);
}

TEST_CASE("an old file is replaced as a whole, by a shorter one too") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "a long old text");
  atomic_write(folder / "file", "new");
  CHECK(read_text(folder / "file") == "new");
  CHECK(names_in(folder) == Names{"file"});
}

TEST_CASE("who has the old file open keeps reading it, replaced, renamed or removed") {
  const TemporaryFolder folder;
  const auto path = folder / "file";
  atomic_write(path, "old text");
  const InputFile old(path);
  SUBCASE("replaced") {
    atomic_write(path, "new text");
  }
  SUBCASE("renamed") {
    std::filesystem::rename(path, folder / "other");
  }
  SUBCASE("removed") {
    std::filesystem::remove(path);
  }
  CHECK(text_of(old) == "old text");
  CHECK_FALSE(old.changed());
}

TEST_CASE("an open file that is cut, or written over, is told from what it was") {
  const TemporaryFolder folder;
  const auto path = folder / "file";
  atomic_write(path, "old text");
  std::filesystem::last_write_time(path, std::filesystem::file_time_type{});
  const InputFile file(path);
  CHECK_FALSE(file.changed());
  SUBCASE("cut") {
    std::filesystem::resize_file(path, 3);
    CHECK_THROWS_WITH_AS(text_of(file), doctest::Contains("file; got: an end after 3"),
                         DamagedFile);
  }
  SUBCASE("written over") {
    std::fstream(path) << "new";
    CHECK(text_of(file) == "new text");
  }
  CHECK(file.changed());
}

TEST_CASE("blocks follow one another and are no larger than one block") {
  const TemporaryFolder folder;
  std::string text(2 * kFileBlock + 5, 'a');
  text[kFileBlock] = 'b';
  atomic_write(folder / "file", text);
  const InputFile file(folder / "file");
  std::string read;
  std::vector<size_t> sizes;
  file.read_blocks(3, file.size() - 1, [&](std::span<const std::byte> block) {
    read.append(reinterpret_cast<const char*>(block.data()), block.size());
    sizes.push_back(block.size());
  });
  CHECK(read == text.substr(3, text.size() - 4));
  CHECK(sizes == std::vector<size_t>{kFileBlock, kFileBlock, 1});
}

TEST_CASE("the old file is in place while the new one is being written") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "old");
  atomic_write(folder / "file", [&](const ByteSink& sink) {
    const std::string text = "new";
    sink(std::as_bytes(std::span(text)));
    CHECK(read_text(folder / "file") == "old");
  });
  CHECK(read_text(folder / "file") == "new");
}

TEST_CASE("a writer that throws leaves the old file and no temporary, and its exception passes") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "old");
  const auto write = [](const ByteSink& sink) {
    const std::string part = "half of the new te";
    sink(std::as_bytes(std::span(part)));
    throw std::domain_error("no more");
  };
  CHECK_THROWS_WITH_AS(atomic_write(folder / "file", write), "no more", std::domain_error);
  CHECK(read_text(folder / "file") == "old");
  CHECK(names_in(folder) == Names{"file"});
}

TEST_CASE("a full disk throws and leaves the old file and no temporary") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "old");
  const std::string large(100'000, 'x');
  {
    const FileSizeLimit full(4096);
    CHECK_THROWS_WITH_AS(atomic_write(folder / "file", large),
                         doctest::Contains("File too large; free some space"), Error);
  }
  CHECK(read_text(folder / "file") == "old");
  CHECK(names_in(folder) == Names{"file"});
  atomic_write(folder / "file", large);
  CHECK(read_text(folder / "file") == large);
}

TEST_CASE("a temporary left by a killed writer does not disturb the next one") {
  const TemporaryFolder folder;
  atomic_write(folder / "file.tmp", "what a writer that was killed left behind");
  atomic_write(folder / "file", "new");
  CHECK(read_text(folder / "file") == "new");
  CHECK(names_in(folder) == Names{"file"});
}

TEST_CASE("a file of the current folder needs no folder in its name") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  atomic_write("file", "text");
  std::filesystem::current_path(before);
  CHECK(read_text(folder / "file") == "text");
}

TEST_CASE("writing into a folder that does not exist throws") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(atomic_write(folder / "none/file", "text"),
                       doctest::Contains("none/file; got: No such file or directory"), Error);
}

TEST_CASE("writing over a folder throws and leaves no temporary") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "inner");
  CHECK_THROWS_WITH_AS(atomic_write(folder / "inner", "text"), doctest::Contains("Is a directory"),
                       Error);
  CHECK(names_in(folder) == Names{"inner"});
}

TEST_CASE("a folder is one run's alone for as long as its lock lives") {
  const TemporaryFolder folder;
  {
    const FolderLock lock(folder.path());
    CHECK_THROWS_WITH_AS(FolderLock(folder.path()),
                         doctest::Contains("another one is at work in it"), Error);
  }
  CHECK_NOTHROW(FolderLock(folder.path()));
  CHECK_THROWS_WITH_AS(FolderLock(folder / "none"),
                       doctest::Contains("[file] expected a folder at"), Error);
}

TEST_CASE("a missing file throws") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(InputFile(folder / "none"),
                       doctest::Contains("none; got: No such file or directory"), Error);
  CHECK_THROWS_AS(read_text(folder / "none"), Error);
}

TEST_CASE("what is not a regular file throws, and nobody waits for its writer") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const std::filesystem::path& path :
       {folder.path(), folder / "pipe", std::filesystem::path("/dev/null")}) {
    CHECK_THROWS_WITH_AS(InputFile{path}, doctest::Contains("expected a regular file"), Error);
  }
}

TEST_CASE("an empty file has no bytes") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "");
  CHECK(InputFile(folder / "file").size() == 0);
  CHECK(read_text(folder / "file").empty());
}

TEST_CASE("a moved file is read where it went") {
  const TemporaryFolder folder;
  atomic_write(folder / "file", "text");
  InputFile first(folder / "file");
  const InputFile second(std::move(first));
  CHECK(text_of(second) == "text");
}

}  // namespace adaspan
