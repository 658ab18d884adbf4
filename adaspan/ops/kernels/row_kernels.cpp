// SPDX-License-Identifier: MIT
#include "adaspan/ops/kernels/row_kernels.h"

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace plain {
template <class T>
const RowKernels<T>& row_kernels_of_level();
}
#if defined(__x86_64__)
namespace avx2 {
template <class T>
const RowKernels<T>& row_kernels_of_level();
}
namespace avx512 {
template <class T>
const RowKernels<T>& row_kernels_of_level();
}
#endif

template <class T>
std::vector<const RowKernels<T>*> available_row_kernels() {
  std::vector<const RowKernels<T>*> levels = {&plain::row_kernels_of_level<T>()};
#if defined(__x86_64__)
  if (best_isa() >= Isa::avx2) levels.push_back(&avx2::row_kernels_of_level<T>());
  if (best_isa() >= Isa::avx512) levels.push_back(&avx512::row_kernels_of_level<T>());
#endif
  return levels;
}

template <class T>
const RowKernels<T>& row_kernels() {
#if defined(__x86_64__)
  if (isa() >= Isa::avx512) return avx512::row_kernels_of_level<T>();
  if (isa() == Isa::avx2) return avx2::row_kernels_of_level<T>();
#endif
  return plain::row_kernels_of_level<T>();
}

template std::vector<const RowKernels<float>*> available_row_kernels();
template std::vector<const RowKernels<bf16>*> available_row_kernels();
template const RowKernels<float>& row_kernels();
template const RowKernels<bf16>& row_kernels();

}  // namespace adaspan
