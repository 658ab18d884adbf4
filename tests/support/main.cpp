// SPDX-License-Identifier: MIT
// The main() of every test program: runs its tests; the exit code is the verdict.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
