// SPDX-License-Identifier: MIT
// The entry that libFuzzer calls with one input after the other.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  adaspan::allow_error([&] { adaspan::read_input({reinterpret_cast<const char*>(data), size}); });
  return 0;
}
