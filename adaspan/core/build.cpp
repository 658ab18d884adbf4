// SPDX-License-Identifier: MIT
#include "adaspan/core/build.h"

#include "git_state.h"

namespace adaspan {

const BuildInfo& build_info() {
  static const BuildInfo info{ADASPAN_VERSION, ADASPAN_GIT_STATE, ADASPAN_COMPILER, ADASPAN_FLAGS};
  return info;
}

}  // namespace adaspan
