// SPDX-License-Identifier: MIT
#include "adaspan/core/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <iterator>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"

namespace adaspan {
namespace {

void check(int result) {
  require(result == 1,
          "[sha256] expected SHA-256 of libcrypto; got a refusal; look at the system's settings of "
          "OpenSSL");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

void Sha256::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::digits() {
  std::array<unsigned char, kSha256Digits / 2> digest;
  check(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr));
  std::string digits;
  for (const unsigned char byte : digest)
    fmt::format_to(std::back_inserter(digits), "{:02x}", byte);
  return digits;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 sum;
  sum.update(bytes);
  return sum.digits();
}

std::string sha256(const InputFile& file) {
  Sha256 sum;
  file.read_blocks(0, file.size(), [&](std::span<const std::byte> block) { sum.update(block); });
  return sum.digits();
}

}  // namespace adaspan
