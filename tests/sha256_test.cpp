// SPDX-License-Identifier: MIT
#include "adaspan/core/sha256.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "adaspan/core/file.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

std::string of(const std::string& text) {
  return sha256(std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("sha256 gives the digests of the examples of FIPS 180") {
  CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(of("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
           "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu") ==
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK(of(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("bytes that come in blocks, or from a file, have the digest of the whole") {
  std::string text(3 * kFileBlock / 2, 'a');
  for (size_t i = 0; i < text.size(); i += 1000) text[i] = static_cast<char>(i / 1000);
  Sha256 sum;
  for (size_t i = 0; i < text.size(); i += 77'777) {
    sum.update(
        std::as_bytes(std::span(text)).subspan(i, std::min<size_t>(77'777, text.size() - i)));
  }
  CHECK(sum.digits() == of(text));
  const TemporaryFolder folder;
  atomic_write(folder / "file", text);
  CHECK(sha256(InputFile(folder / "file")) == of(text));
}

TEST_CASE("sha256 of no bytes is defined") {
  const std::string digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  CHECK(of("") == digest);
  CHECK(sha256({}) == digest);
}

TEST_CASE("bytes of value zero count") {
  CHECK(of(std::string(1, '\0')) ==
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

}  // namespace adaspan
