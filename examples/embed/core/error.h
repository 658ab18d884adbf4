// SPDX-License-Identifier: MIT
// A header of this program; that the library has one of the same name does not matter.
#pragma once

#include <cstdio>

inline int complain(double first, double last) {
  std::fprintf(stderr, "embed: expected a loss below half of the first, %.3f; got %.3f\n", first,
               last);
  return 1;
}
