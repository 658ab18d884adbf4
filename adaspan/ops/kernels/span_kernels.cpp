// SPDX-License-Identifier: MIT
#include "adaspan/ops/kernels/span_kernels.h"

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace plain {
const SpanKernels<float>& span_kernels_f32();
const SpanKernels<bf16>& span_kernels_bf16();
const SpanRowKernels& span_row_kernels();
}  // namespace plain
#if defined(__x86_64__) || defined(ADASPAN_EMULATED_TILES)
namespace amx {
const SpanKernels<bf16>& span_kernels_bf16();
}  // namespace amx
#endif
#if defined(__x86_64__)
namespace avx2 {
const SpanKernels<float>& span_kernels_f32();
const SpanRowKernels& span_row_kernels();
}  // namespace avx2
namespace avx512 {
const SpanKernels<float>& span_kernels_f32();
const SpanRowKernels& span_row_kernels();
}  // namespace avx512
namespace avx512_bf16 {
const SpanKernels<bf16>& span_kernels_bf16();
}  // namespace avx512_bf16
#endif

template <>
const SpanKernels<float>& span_kernels<float>() {
#if defined(__x86_64__)
  if (isa() >= Isa::avx512) return avx512::span_kernels_f32();
  if (isa() == Isa::avx2) return avx2::span_kernels_f32();
#endif
  return plain::span_kernels_f32();
}

template <>
const SpanKernels<bf16>& span_kernels<bf16>() {
#if defined(ADASPAN_EMULATED_TILES)
  return amx::span_kernels_bf16();  // for a test, on any machine
#elif defined(__x86_64__)
  if (isa() == Isa::amx) return amx::span_kernels_bf16();
  if (isa() == Isa::avx512 && cpu_features().avx512_bf16) return avx512_bf16::span_kernels_bf16();
  return plain::span_kernels_bf16();
#else
  return plain::span_kernels_bf16();
#endif
}

const SpanRowKernels& span_row_kernels() {
#if defined(__x86_64__)
  if (isa() >= Isa::avx512) return avx512::span_row_kernels();
  if (isa() == Isa::avx2) return avx2::span_row_kernels();
#endif
  return plain::span_row_kernels();
}

}  // namespace adaspan
