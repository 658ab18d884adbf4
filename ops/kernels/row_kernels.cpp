// SPDX-License-Identifier: MIT
#include "ops/kernels/row_kernels.h"

#include "core/cpu.h"

namespace adaspan {
namespace plain {
const RowKernels& row_kernels_of_level();
}
#if defined(__x86_64__)
namespace avx2 {
const RowKernels& row_kernels_of_level();
}
namespace avx512 {
const RowKernels& row_kernels_of_level();
}
#endif

std::vector<const RowKernels*> available_row_kernels() {
  std::vector<const RowKernels*> levels = {&plain::row_kernels_of_level()};
#if defined(__x86_64__)
  if (cpu_features().avx2) levels.push_back(&avx2::row_kernels_of_level());
  if (cpu_features().avx512) levels.push_back(&avx512::row_kernels_of_level());
#endif
  return levels;
}

const RowKernels& row_kernels() {
  static const RowKernels& best = *available_row_kernels().back();
  return best;
}

}  // namespace adaspan
