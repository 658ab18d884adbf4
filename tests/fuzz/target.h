// SPDX-License-Identifier: MIT
// A fuzz target gives any bytes to one reader of the library. The reader may take them or throw
// Error; anything else (another exception, a false assert, a crash, a hang, more memory than the
// bytes can need) is a bug of the library.
#pragma once

#include <string_view>

#include <adaspan/core/error.h>

namespace adaspan {

/// Gives `input` to the reader. Each target defines it, and asserts what must hold of what was
/// read.
void read_input(std::string_view input);

/// Calls read(), which may throw Error.
template <class Read>
void allow_error(const Read& read) {
  try {
    read();
  } catch (const Error&) {
  }
}

}  // namespace adaspan
