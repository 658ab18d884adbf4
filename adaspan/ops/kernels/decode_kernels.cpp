// SPDX-License-Identifier: MIT
#include "adaspan/ops/kernels/decode_kernels.h"

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace plain {
template <class T>
const DecodeKernels<T>& decode_kernels_of_level();
}
#if defined(__x86_64__)
namespace avx2 {
template <class T>
const DecodeKernels<T>& decode_kernels_of_level();
}
namespace avx512 {
template <class T>
const DecodeKernels<T>& decode_kernels_of_level();
}
#endif

template <class T>
std::vector<const DecodeKernels<T>*> available_decode_kernels() {
  std::vector<const DecodeKernels<T>*> levels = {&plain::decode_kernels_of_level<T>()};
#if defined(__x86_64__)
  if (best_isa() >= Isa::avx2) levels.push_back(&avx2::decode_kernels_of_level<T>());
  if (best_isa() >= Isa::avx512) levels.push_back(&avx512::decode_kernels_of_level<T>());
#endif
  return levels;
}

template <class T>
const DecodeKernels<T>& decode_kernels() {
#if defined(__x86_64__)
  if (isa() >= Isa::avx512) return avx512::decode_kernels_of_level<T>();
  if (isa() == Isa::avx2) return avx2::decode_kernels_of_level<T>();
#endif
  return plain::decode_kernels_of_level<T>();
}

template std::vector<const DecodeKernels<float>*> available_decode_kernels();
template std::vector<const DecodeKernels<bf16>*> available_decode_kernels();
template const DecodeKernels<float>& decode_kernels();
template const DecodeKernels<bf16>& decode_kernels();

}  // namespace adaspan
