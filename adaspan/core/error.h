// SPDX-License-Identifier: MIT
// One kind of error for everything that a caller can get wrong. The text is one line: what was
// expected, what came, what to do. Bugs of our own are asserts, not errors.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <utility>

namespace adaspan {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file that is not what was once written: cut short, or bytes of it changed.
class DamagedFile : public Error {
 public:
  using Error::Error;
};

/// Text that can no longer be read, or is no longer what it was when it was opened. Nothing else is
/// the worse for it: what was computed so far can be saved.
class DataLost : public Error {
 public:
  using Error::Error;
};

/// Memory that is not there. Nothing is the worse for it: what was computed so far can be saved.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Throws Error with the formatted text.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

/// Throws Error with the formatted text unless `ok`.
template <class... Args>
void require(bool ok, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) fail(text, std::forward<Args>(args)...);
}

}  // namespace adaspan
