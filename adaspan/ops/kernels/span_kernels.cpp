// SPDX-License-Identifier: MIT
#include "adaspan/ops/kernels/span_kernels.h"

#include "adaspan/core/cpu.h"

namespace adaspan {
namespace plain {
const SpanKernels<float>& span_kernels_f32();
const SpanKernels<bf16>& span_kernels_bf16();
const SpanRowKernels& span_row_kernels();
}  // namespace plain
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
namespace amx {
const SpanKernels<bf16>& span_kernels_bf16();
}  // namespace amx
#endif

SpanKernelTables span_kernels() {
#if defined(__x86_64__)
  if (isa() == Isa::amx) {
    return {avx512::span_kernels_f32(), amx::span_kernels_bf16(), avx512::span_row_kernels()};
  }
  if (isa() == Isa::avx512) {
    return {
        avx512::span_kernels_f32(),
        cpu_features().avx512_bf16 ? avx512_bf16::span_kernels_bf16() : plain::span_kernels_bf16(),
        avx512::span_row_kernels()};
  }
  if (isa() == Isa::avx2) {
    return {avx2::span_kernels_f32(), plain::span_kernels_bf16(), avx2::span_row_kernels()};
  }
#endif
  return {plain::span_kernels_f32(), plain::span_kernels_bf16(), plain::span_row_kernels()};
}

SpanKernelTables counting_span_kernels() {
  const SpanKernelTables all = span_kernels();
  return {*all.f32_products.counting, *all.bf16_products.counting, all.rows};
}

int64_t counted_multiply_adds = 0;

}  // namespace adaspan
