// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <adaspan/core/file.h>
#include "tests/support/temporary_folder.h"

namespace adaspan {

/// Files as the kernel shows them, below a root of a test's own.
class FileTree {
 public:
  void write(const std::string& path, const std::string& text) const {
    make_folder_of(folder_ / path);
    atomic_write(folder_ / path, text);
  }
  const std::filesystem::path& root() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

}  // namespace adaspan
