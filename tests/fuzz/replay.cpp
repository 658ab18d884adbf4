// SPDX-License-Identifier: MIT
// usage: TARGET_fuzz FOLDER      gives each file of the folder to the target
#include <fmt/core.h>

#include <filesystem>

#include "adaspan/core/file.h"
#include "tests/fuzz/target.h"

int main(int argc, char** argv) {
  using namespace adaspan;
  require(argc == 2, "[replay] expected one folder; got {} arguments", argc - 1);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    fmt::print("{}\n", entry.path().filename().string());
    std::fflush(stdout);  // of a crash, the last name tells the input
    allow_error([&, input = read_text(entry.path())] { read_input(input); });
    ++files;
  }
  require(files > 0, "[replay] expected files in {}; got none", argv[1]);
}
