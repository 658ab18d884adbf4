// SPDX-License-Identifier: MIT
// page.css and page.js, which are put into the program when it is built.
#pragma once

namespace adaspan {

extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace adaspan
