// SPDX-License-Identifier: MIT
#include "adaspan/train/data/token_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/sha256.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Ids = std::vector<int32_t>;

struct WrittenFile {
  WrittenFile(const Ids& ids, int64_t vocabulary_size) {
    write_token_file(path, ids, vocabulary_size);
  }
  /// Overwrites the file's bytes from `at` on.
  void patch(size_t at, std::string_view bytes) const {
    std::string text = read_text(path);
    atomic_write(path, text.replace(at, bytes.size(), bytes));
  }
  TemporaryFolder folder;
  std::filesystem::path path = folder / "ids.tok";
};

TEST_CASE("ids come back as written, in the fewest bytes that hold the vocabulary") {
  struct Case {
    int64_t vocabulary_size;
    int64_t bytes_per_id;
  };
  for (const Case c : {Case{2, 1}, {256, 1}, {257, 2}, {65536, 2}, {65537, 4}, {1 << 30, 4}}) {
    CAPTURE(c.vocabulary_size);
    const Ids ids{0, 1, static_cast<int32_t>(c.vocabulary_size - 1)};
    const WrittenFile written(ids, c.vocabulary_size);
    const TokenFile file(written.path, c.vocabulary_size);
    REQUIRE(file.size() == 3);
    CHECK(Ids{file[0], file[1], file[2]} == ids);
    Ids read(3);
    file.read(0, 3, read.data());
    CHECK(read == ids);
    CHECK(std::filesystem::file_size(written.path) == 24 + 3 * c.bytes_per_id);
  }
}

TEST_CASE("a file longer than one write comes back whole") {
  Ids ids(3'000'001);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * i % 999);
  const WrittenFile written(ids, 999);
  const TokenFile file(written.path, 999);
  Ids read(ids.size());
  file.read(0, file.size(), read.data());
  CHECK(read == ids);
}

TEST_CASE("a range is read from its place") {
  const WrittenFile written({5, 6, 7, 8}, 300);
  const TokenFile file(written.path, 300);
  Ids read(2);
  file.read(1, 2, read.data());
  CHECK(read == Ids{6, 7});
}

TEST_CASE("a range that is not all in the file is refused") {
  const WrittenFile written({5, 6, 7, 8}, 9);
  const TokenFile file(written.path, 9);
  Ids read(9);
  CHECK_NOTHROW(file.read(4, 0, read.data()));
  CHECK_THROWS_WITH_AS(file.read(3, 2, read.data()),
                       Contains("within 4 tokens; got 2 tokens from 3"), Error);
  CHECK_THROWS_WITH_AS(file.read(5, 0, read.data()), Contains("from 5"), Error);
  CHECK_THROWS_WITH_AS(file.read(-1, 2, read.data()), Contains("from -1"), Error);
  CHECK_THROWS_WITH_AS(file.read(0, -1, read.data()), Contains("got -1 tokens"), Error);
}

TEST_CASE("a file that was renamed, removed or replaced goes on being read") {
  const WrittenFile written({5, 6, 7, 8}, 300);
  const TokenFile file(written.path, 300);
  SUBCASE("renamed") {
    std::filesystem::rename(written.path, written.folder / "other");
  }
  SUBCASE("removed") {
    std::filesystem::remove(written.path);
  }
  SUBCASE("replaced") {
    write_token_file(written.path, Ids{1}, 300);
  }
  CHECK(file[3] == 8);
}

TEST_CASE("a file that was cut or written over is lost, and that is said") {
  const WrittenFile written({5, 6, 7, 8}, 300);
  std::filesystem::last_write_time(written.path, std::filesystem::file_time_type{});
  const TokenFile file(written.path, 300);
  REQUIRE(file[0] == 5);
  const auto time = std::filesystem::last_write_time(written.path);
  SUBCASE("cut") {
    std::filesystem::resize_file(written.path, 27);
  }
  SUBCASE("written over") {
    std::fstream(written.path, std::ios::in | std::ios::out).seekp(24).put(7);
  }
  SUBCASE("written over with ids that there are not, at the same time") {
    std::fstream(written.path, std::ios::in | std::ios::out).seekp(25).put(7);
    std::filesystem::last_write_time(written.path, time);
  }
  CHECK_THROWS_WITH_AS(file[0], Contains("ids.tok to stay as it was when it was opened; got"),
                       DataLost);
}

TEST_CASE("the sum of a file is told by who writes and who opens it") {
  const TemporaryFolder folder;
  for (const int64_t vocabulary_size : {200, 2000, 200'000}) {
    const std::string sum = write_token_file(folder / "ids.tok", Ids{1, 2, 3}, vocabulary_size);
    CHECK(sum == sha256(InputFile(folder / "ids.tok")));
    CHECK(TokenFile(folder / "ids.tok", vocabulary_size).sha256() == sum);
  }
}

TEST_CASE("more or fewer ids than were announced are refused and nothing is left") {
  const TemporaryFolder folder;
  for (const int64_t size : {1, 3}) {
    const auto write = [](const IdSink& sink) { sink(Ids{1, 2}); };
    CHECK_THROWS_WITH_AS(write_token_file(folder / "ids.tok", size, 9, write),
                         Contains("ids.tok; got 2; did the text change"), Error);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file without tokens can be opened") {
  const WrittenFile written({}, 5);
  CHECK(TokenFile(written.path, 5).size() == 0);
}

TEST_CASE("another kind of file is refused") {
  const WrittenFile written({1, 2}, 5);
  SUBCASE("too short for a header") {
    atomic_write(written.path, "adatoken");
  }
  SUBCASE("empty") {
    atomic_write(written.path, "");
  }
  SUBCASE("another magic") {
    written.patch(0, "x");
  }
  SUBCASE("another version") {
    written.patch(8, "\x02");
  }
  CHECK_THROWS_WITH_AS(TokenFile(written.path, 5), Contains("expected a token file of version 1"),
                       Error);
}

TEST_CASE("a file of another size than its header says is refused") {
  const WrittenFile written({1, 2, 3, 4, 1, 2}, 5);
  SUBCASE("cut short") {
    atomic_write(written.path, read_text(written.path).substr(0, 29));
  }
  SUBCASE("too long") {
    atomic_write(written.path, read_text(written.path) + "x");
  }
  SUBCASE("another width") {
    written.patch(12, "\x02");
  }
  SUBCASE("no width") {
    written.patch(12, std::string_view("\0", 1));
  }
  SUBCASE("a width that no id has") {
    written.patch(12, "\x03");
    written.patch(16, "\x02");
  }
  SUBCASE("a part of an id at the end") {
    written.patch(12, "\x04");
    written.patch(16, "\x01");
  }
  SUBCASE("a count that overflows") {
    written.patch(16, "\xff\xff\xff\xff\xff\xff\xff\xff");
  }
  CHECK_THROWS_WITH_AS(TokenFile(written.path, 5), Contains(" bytes; the file is damaged"), Error);
}

TEST_CASE("an id outside the vocabulary is refused when the file is opened") {
  SUBCASE("of one byte") {
    const WrittenFile written({1, 5, 2}, 256);
    CHECK_THROWS_WITH_AS(TokenFile(written.path, 5), Contains("expected ids below 5"), Error);
  }
  SUBCASE("of four bytes that would be negative") {
    const WrittenFile written({1, 5, 2}, 1 << 30);
    written.patch(28, "\xff\xff\xff\xff");
    CHECK_THROWS_WITH_AS(TokenFile(written.path, 1 << 30), Contains("got 4294967295"), Error);
  }
}

TEST_CASE("a missing file is refused") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(TokenFile(folder / "none.tok", 5), Contains("No such file"), Error);
}

}  // namespace
}  // namespace adaspan
