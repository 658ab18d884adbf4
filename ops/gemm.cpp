// SPDX-License-Identifier: MIT
#include "ops/gemm.h"

#include <algorithm>
#include <cassert>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "core/memory.h"
#include "core/parallel.h"

namespace adaspan {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc describe(const ConstMatrix& m) {
  // A single row or column may come with any stride; oneDNN wants one that fits the extents.
  const bool by_rows = m.column_stride == 1;
  const int64_t row_stride = by_rows ? std::max(m.row_stride, m.columns) : 1;
  const int64_t column_stride = by_rows ? 1 : std::max(m.column_stride, m.rows);
  return {{m.rows, m.columns}, memory::data_type::f32, {row_stride, column_stride}};
}

memory wrap(const memory::desc& desc, const float* data) {
  return memory(desc, engine(), const_cast<float*>(data));  // oneDNN has no const memory
}

primitive_attr attributes(const GemmOptions& options) {
  dnnl::post_ops after;
  if (options.accumulate) after.append_sum(1.0f);
#if DNNL_VERSION_MAJOR >= 3
  if (options.relu) after.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
  if (options.relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
  primitive_attr attr;
  attr.set_post_ops(after);
  // With its own scratchpad a primitive that two threads run at once gives wrong results.
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

dnnl::matmul::primitive_desc plan(const memory::desc& a, const memory::desc& b,
                                  const memory::desc& bias, const memory::desc& c,
                                  const primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, bias, c, attr};
#else
  return {dnnl::matmul::desc(a, b, bias, c), attr, engine()};
#endif
}

/// The product by one call of oneDNN.
void product(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options) {
  assert(a.rows == c.rows && b.columns == c.columns && a.columns == b.rows);
  assert(!(options.accumulate && (options.bias || options.relu)));
  if (c.rows == 0 || c.columns == 0) return;
  if (a.columns == 0) {  // oneDNN may leave c as it was
    assert(!options.bias);
    for (int64_t i = 0; i < c.rows && !options.accumulate; ++i) {
      std::fill_n(c.data + i * c.row_stride, c.columns, 0.0f);
    }
    return;
  }
  const memory::desc a_desc = describe(a), b_desc = describe(b);
  const memory::desc c_desc = describe({c.data, c.rows, c.columns, c.row_stride});
  const memory::desc bias_desc =
      options.bias ? describe({options.bias, 1, c.columns, c.columns}) : memory::desc();
  // Plans and compiled kernels are kept by oneDNN's own cache.
  const auto planned = plan(a_desc, b_desc, bias_desc, c_desc, attributes(options));
  const Buffer scratch = allocate(planned.scratchpad_desc().get_size());

  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, wrap(a_desc, a.data)},
      {DNNL_ARG_WEIGHTS, wrap(b_desc, b.data)},
      {DNNL_ARG_DST, wrap(c_desc, c.data)},
      {DNNL_ARG_SCRATCHPAD, memory(planned.scratchpad_desc(), engine(), scratch.get())}};
  // Not an empty one: oneDNN refuses an argument that the plan does not know.
  if (options.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(bias_desc, options.bias));
  dnnl::stream stream(engine());
  dnnl::matmul(planned).execute(stream, arguments);
  stream.wait();
}

/// The product in bands of c's rows, or of a single row's columns, one thread each. At least two of
/// them: outside of a parallel loop oneDNN divides the work by the number of threads, even the
/// sums.
void banded(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options, int64_t largest) {
  const bool by_rows = c.rows > 1;
  const int64_t extent = by_rows ? c.rows : c.columns;
  const int64_t half = extent > 16 ? (extent + 31) / 32 * 16 : (extent + 1) / 2;
  parallel_chunks(extent, std::clamp<int64_t>(half, 1, largest), [&](int64_t begin, int64_t end) {
    Matrix c_band = c;
    ConstMatrix a_band = a, b_band = b;
    GemmOptions options_band = options;
    if (by_rows) {
      c_band.data += begin * c.row_stride;
      a_band.data += begin * a.row_stride;
      c_band.rows = a_band.rows = end - begin;
    } else {
      c_band.data += begin;
      b_band.data += begin * b.column_stride;
      c_band.columns = b_band.columns = end - begin;
      if (options.bias) options_band.bias += begin;
    }
    product(c_band, a_band, b_band, options_band);
  });
}

}  // namespace

// Bands this large are as fast as the whole matrix at once.
void gemm(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options) {
  banded(c, a, b, options, 1024);
}

void gemm_long_sums(Matrix c, ConstMatrix a, ConstMatrix b, const GemmOptions& options) {
  banded(c, a, b, options, 128);
}

}  // namespace adaspan
