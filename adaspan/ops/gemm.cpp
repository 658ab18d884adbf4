// SPDX-License-Identifier: MIT
// Longer than most files, since no other one may see oneDNN: plans (a primitive for certain
// extents), products of bands of rows, sums over rows, and gemm, which is made of them.
#include "adaspan/ops/gemm.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/memory.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using Arguments = std::unordered_map<int, memory>;

// As fast as the whole matrix at once, and enough bands for many threads.
constexpr int64_t kBand = 512;
// From here on a reorder of b costs less than it gains.
constexpr int64_t kRowsWorthPacking = 64;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::data_type type_of(DType type) {
  assert(type != DType::i32);
  return type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc describe(const ConstMatrix& m) {
  // A single row or column may come with any stride; oneDNN wants one that fits the extents.
  const bool by_rows = m.column_stride == 1;
  const int64_t row_stride = by_rows ? std::max(m.row_stride, m.columns) : 1;
  const int64_t column_stride = by_rows ? 1 : std::max(m.column_stride, m.rows);
  return {{m.rows, m.columns}, type_of(m.type), {row_stride, column_stride}};
}

memory wrap(const memory::desc& desc, const void* data) {
  return memory(desc, engine(), const_cast<void*>(data));  // oneDNN has no const memory
}

void* at(const void* data, DType type, int64_t i) {
  return static_cast<std::byte*>(const_cast<void*>(data)) + i * static_cast<int64_t>(size_of(type));
}

primitive_attr with_own_scratchpad() {
  primitive_attr attr;
  // With the library's scratchpad a primitive that two threads run at once gives wrong results.
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

primitive_attr attributes(const ProductOptions& options, const memory::desc& residual) {
  dnnl::post_ops after;
  if (options.accumulate) after.append_sum(1.0f);
  if (options.residual) after.append_binary(dnnl::algorithm::binary_add, residual);
#if DNNL_VERSION_MAJOR >= 3
  if (options.relu) after.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#else
  if (options.relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
  primitive_attr attr = with_own_scratchpad();
  attr.set_post_ops(after);
  return attr;
}

dnnl::matmul::primitive_desc plan_product(const memory::desc& a, const memory::desc& b,
                                          const memory::desc& bias, const memory::desc& c,
                                          const primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), a, b, bias, c, attr};
#else
  return {dnnl::matmul::desc(a, b, bias, c), attr, engine()};
#endif
}

/// dw = dy^T x: the weight gradient of an inner product y = x w^T.
dnnl::inner_product_backward_weights::primitive_desc plan_sums(const memory::desc& dw,
                                                               const memory::desc& dy,
                                                               const memory::desc& x) {
  const auto kind = dnnl::prop_kind::forward_training;
  const memory::desc w(dw.dims(), x.data_type(), memory::format_tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::inner_product_forward::primitive_desc forward(engine(), kind, x, w, dy);
  return {engine(), x, dw, dy, forward, with_own_scratchpad()};
#else
  const dnnl::inner_product_forward::primitive_desc forward(
      dnnl::inner_product_forward::desc(kind, x, w, dy), engine());
  return {dnnl::inner_product_backward_weights::desc(x, dw, dy), with_own_scratchpad(), engine(),
          forward};
#endif
}

/// What make() makes for the product of a and b; throws Error where oneDNN has nothing for it.
template <class Make>
auto planned(const ConstMatrix& a, const ConstMatrix& b, const Make& make) {
  try {
    return make();
  } catch (const dnnl::error& e) {
    fail("[gemm] expected a product of {} [{}, {}] and {} [{}, {}] that oneDNN can plan; got: {}",
         name(a.type), a.rows, a.columns, name(b.type), b.rows, b.columns, e.what());
  }
}

/// A primitive for certain extents and strides.
struct Plan {
  template <class Description>
  explicit Plan(const Description& plan)
      : primitive(plan.get()), scratchpad(plan.scratchpad_desc()) {}

  dnnl::primitive primitive;
  memory::desc scratchpad;

  void run(Arguments arguments) const {
    const Buffer scratch = allocate(scratchpad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, wrap(scratchpad, scratch.get()));
    dnnl::stream stream(engine());
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

/// The plans of one product: made when they are first asked for, whoever asks.
template <class Key>
class Plans {
 public:
  template <class Make>
  const Plan& get(const Key& key, const Make& make) {
    std::lock_guard lock(mutex_);
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    return plans_.emplace(key, make()).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<Key, Plan> plans_;  // references to its elements stay valid
};

void convert(memory to, memory from) {
  dnnl::stream stream(engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

// Rows that lie a power of two apart share few sets of a cache, and a product with a transposed
// matrix walks down its columns: 16 elements between the rows double its speed.
ConstMatrix spread(const ConstMatrix& m) {
  return {nullptr, m.type, m.rows, m.columns, m.columns + 16};
}

Buffer spread_copy(const ConstMatrix& m) {
  assert(m.column_stride == 1);
  const int64_t stride = spread(m).row_stride;
  Buffer copy = allocate(static_cast<size_t>(m.rows * stride) * size_of(m.type));
  for (int64_t i = 0; i < m.rows; ++i) {
    std::memcpy(at(copy.get(), m.type, i * stride), at(m.data, m.type, i * m.row_stride),
                static_cast<size_t>(m.columns) * size_of(m.type));
  }
  return copy;
}

void fill_with_zeros(const Matrix& c) {
  for (int64_t i = 0; i < c.rows; ++i) {
    std::fill_n(static_cast<std::byte*>(at(c.data, c.type, i * c.row_stride)),
                static_cast<size_t>(c.columns) * size_of(c.type), std::byte{0});
  }
}

}  // namespace

ConstMatrix ConstMatrix::rows_of(int64_t begin, int64_t end) const {
  ConstMatrix part = *this;
  part.data = at(data, type, begin * row_stride);
  part.rows = end - begin;
  return part;
}

Matrix Matrix::rows_of(int64_t begin, int64_t end) const {
  return {at(data, type, begin * row_stride), type, end - begin, columns, row_stride};
}

ConstMatrix matrix(const Tensor& t) {
  return with_type(
      t.type(), [&]<class T>(T) { return matrix(t.data<T>(), t.shape().rows(), t.shape()[-1]); });
}
Matrix matrix(Tensor& t) {
  return with_type(
      t.type(), [&]<class T>(T) { return matrix(t.data<T>(), t.shape().rows(), t.shape()[-1]); });
}

struct Product::State {
  using Key = std::array<int64_t, 5>;  // rows and strides

  ConstMatrix b;
  DType a_type, c_type;
  ProductOptions options;
  memory::desc b_desc, bias_desc;
  Buffer packed;  // b in oneDNN's layout, if it is not used as it lies
  Plans<Key> plans;

  auto plan(const ConstMatrix& a, const ConstMatrix& c, const ConstMatrix& residual,
            const memory::desc& weights) const {
    return plan_product(
        describe(a), weights, bias_desc, describe(c),
        attributes(options, options.residual ? describe(residual) : memory::desc()));
  }
};

Product::Product(DType a, DType c, const ConstMatrix& b, int64_t rows,
                 const ProductOptions& options)
    : state_(new State{b, a, c, options, describe(b), {}, {}, {}}) {
  assert(b.type == a || b.type == DType::f32);
  assert(a == DType::bf16 || c == DType::f32);
  const int64_t k = b.rows, n = b.columns;
  if (options.bias) state_->bias_desc = describe(matrix(options.bias, 1, n));
  if (k == 0 || n == 0 || (b.type == a && rows < kRowsWorthPacking)) return;
  const memory::desc given = state_->b_desc;
  {
    const OneThread alone;  // as in run()
    const int64_t band = std::clamp<int64_t>(rows, 1, kBand);
    const ConstMatrix a_band{nullptr, a, band, k, k}, c_band{nullptr, c, band, n, n};
    const memory::desc any({k, n}, type_of(a), memory::format_tag::any);
    state_->b_desc = planned(
        a_band, b, [&] { return state_->plan(a_band, c_band, c_band, any).weights_desc(); });
  }
  if (state_->b_desc == given) return;
  state_->packed = allocate(state_->b_desc.get_size());
  convert(wrap(state_->b_desc, state_->packed.get()), wrap(given, b.data));
}

Product::~Product() = default;

void Product::run(const Matrix& c, const ConstMatrix& a,
                  const std::optional<ConstMatrix>& residual) const {
  State& s = *state_;
  assert(a.rows == c.rows && s.b.columns == c.columns && a.columns == s.b.rows);
  assert(a.type == s.a_type && c.type == s.c_type && residual.has_value() == s.options.residual);
  assert(!residual || (residual->rows == c.rows && residual->columns == c.columns &&
                       residual->type == c.type && residual->column_stride == 1));
  if (c.rows == 0 || c.columns == 0) return;
  if (a.columns == 0) {  // oneDNN may leave c as it was
    assert(!s.options.bias && !residual);
    if (!s.options.accumulate) fill_with_zeros(c);
    return;
  }
  const OneThread alone;
  const ConstMatrix r = residual.value_or(c);
  const Plan& plan =
      s.plans.get({a.rows, a.row_stride, a.column_stride, c.row_stride, r.row_stride},
                  [&] { return planned(a, s.b, [&] { return Plan(s.plan(a, c, r, s.b_desc)); }); });
  Arguments arguments = {{DNNL_ARG_SRC, wrap(describe(a), a.data)},
                         {DNNL_ARG_WEIGHTS, wrap(s.b_desc, s.packed ? s.packed.get() : s.b.data)},
                         {DNNL_ARG_DST, wrap(describe(c), c.data)}};
  // Not empty ones: oneDNN refuses an argument that the plan does not know.
  if (s.options.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(s.bias_desc, s.options.bias));
  if (residual) {
    const int place = s.options.accumulate ? 1 : 0;  // in the list of what comes after the product
    arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(place) | DNNL_ARG_SRC_1,
                      wrap(describe(r), r.data));
  }
  plan.run(std::move(arguments));
}

struct RowSums::State {
  int64_t m, n;
  bool swapped;  // sums are [n,m], not [m,n]: oneDNN is faster when the first is the smaller
  Tensor sums;   // [pieces, m*n]
  Plans<std::pair<int64_t, DType>> plans;
};

// A piece's sum costs as much memory traffic as many of its rows, hence large pieces; at most 16,
// which bounds the memory for their sums. But a few of them at least, for the threads.
int64_t RowSums::rows_per_piece(int64_t rows) {
  const int64_t few = std::clamp<int64_t>(rows / 256, 1, 4);
  const int64_t pieces = std::clamp<int64_t>(rows / 1024, few, 16);
  return std::max<int64_t>(32, ((rows + pieces - 1) / pieces + 31) / 32 * 32);
}

RowSums::RowSums(int64_t m, int64_t n, int64_t pieces)
    : state_(new State{m, n, m > n, Tensor({pieces, m * n}), {}}) {}

RowSums::~RowSums() = default;

void RowSums::run(int64_t piece, const ConstMatrix& a, const ConstMatrix& b) {
  State& s = *state_;
  assert(a.rows == b.rows && a.columns == s.m && b.columns == s.n && a.type == b.type);
  assert(piece < s.sums.shape()[0]);
  const ConstMatrix &dy = s.swapped ? b : a, &x = s.swapped ? a : b;
  float* sum = s.sums.data() + piece * s.m * s.n;
  if (a.rows == 0 || s.m == 0 || s.n == 0) {
    std::fill_n(sum, s.m * s.n, 0.0f);
    return;
  }
  const OneThread alone;
  const memory::desc dw_desc = describe(matrix(sum, dy.columns, x.columns));
  if (a.type == DType::f32 && isa() <= Isa::avx2) {  // there oneDNN's weight gradient is slow
    const ConstMatrix left = spread(dy).transposed(), right = spread(x);
    const Plan& plan = s.plans.get({a.rows, a.type}, [&] {
      return planned(a.transposed(), b, [&] {
        return Plan(plan_product(describe(left), describe(right), memory::desc(), dw_desc,
                                 with_own_scratchpad()));
      });
    });
    const Buffer dy_copy = spread_copy(dy), x_copy = spread_copy(x);
    plan.run({{DNNL_ARG_SRC, wrap(describe(left), dy_copy.get())},
              {DNNL_ARG_WEIGHTS, wrap(describe(right), x_copy.get())},
              {DNNL_ARG_DST, wrap(dw_desc, sum)}});
    return;
  }
  const Plan& plan = s.plans.get({a.rows, a.type}, [&] {
    return planned(a.transposed(), b,
                   [&] { return Plan(plan_sums(dw_desc, describe(dy), describe(x))); });
  });
  plan.run({{DNNL_ARG_SRC, wrap(describe(x), x.data)},
            {DNNL_ARG_DIFF_DST, wrap(describe(dy), dy.data)},
            {DNNL_ARG_DIFF_WEIGHTS, wrap(dw_desc, sum)}});
}

void RowSums::finish(int64_t first, const Matrix& c, bool accumulate) const {
  const State& s = *state_;
  assert(c.type == DType::f32 && c.columns == s.n && first + c.rows <= s.m);
  float* to = static_cast<float*>(c.data);
  const auto put = [&](int64_t i, int64_t j, float value) {
    float& element = to[i * c.row_stride + j];
    element = accumulate ? element + value : value;
  };
  // Runs of adjacent sums: rows of the result, or parts of its columns.
  const int64_t runs = s.swapped ? s.n : c.rows, length = s.swapped ? c.rows : s.n;
  const int64_t stride = s.swapped ? s.m : s.n, offset = s.swapped ? first : first * s.n;
  parallel_chunks(runs, 16, [&](int64_t begin, int64_t end) {
    Tensor total = Tensor::zeros({end - begin, length});
    add_in_order(s.sums.shape()[0], 1, 1, [&](int64_t piece, int64_t, int64_t) {
      const float* sums = s.sums.data() + piece * s.m * s.n + offset;
      for (int64_t run = begin; run < end; ++run) {
        row_kernels().add_to_sums(total.data() + (run - begin) * length, sums + run * stride,
                                  length);
      }
    });
    const float* from = total.data();
    if (s.swapped) {
      for (int64_t i = 0; i < c.rows; ++i) {
        for (int64_t j = begin; j < end; ++j) put(i, j, from[(j - begin) * length + i]);
      }
    } else {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < s.n; ++j) put(i, j, from[(i - begin) * length + j]);
      }
    }
  });
}

void gemm(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b, const GemmOptions& options) {
  ProductOptions all{.bias = options.bias,
                     .relu = options.relu,
                     .accumulate = options.accumulate,
                     .residual = options.residual.has_value()};
  // At least two pieces, for the threads.
  const auto piece = [](int64_t extent) {
    const int64_t half = extent > 16 ? (extent + 31) / 32 * 16 : (extent + 1) / 2;
    return std::clamp<int64_t>(half, 1, kBand);
  };
  if (c.rows != 1) {
    const Product product(a.type, c.type, b, a.rows, all);
    parallel_chunks(c.rows, piece(c.rows), [&](int64_t begin, int64_t end) {
      std::optional<ConstMatrix> residual;
      if (options.residual) residual = options.residual->rows_of(begin, end);
      product.run(c.rows_of(begin, end), a.rows_of(begin, end), residual);
      if (options.after) options.after(begin, end);
    });
    return;
  }
  parallel_chunks(c.columns, piece(c.columns), [&](int64_t begin, int64_t end) {
    const auto columns = [&](const ConstMatrix& m) {
      return m.transposed().rows_of(begin, end).transposed();
    };
    ProductOptions some = all;
    if (some.bias) some.bias += begin;
    const Matrix c_part{at(c.data, c.type, begin), c.type, 1, end - begin, c.row_stride};
    std::optional<ConstMatrix> residual;
    if (options.residual) residual = columns(*options.residual);
    Product(a.type, c.type, columns(b), 1, some).run(c_part, a, residual);
  });
  if (options.after) options.after(0, 1);
}

void gemm_long_sums(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b, bool accumulate) {
  assert(c.type == DType::f32 && c.row_stride == c.columns && c.rows == a.columns);
  const int64_t rows = a.rows, step = RowSums::rows_per_piece(rows);
  RowSums sums(c.rows, c.columns, chunk_count(rows, step));
  parallel_parts(rows, step, [&](int64_t piece, int64_t begin, int64_t end) {
    sums.run(piece, a.rows_of(begin, end), b.rows_of(begin, end));
  });
  sums.finish(0, c, accumulate);
}

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl_version();
  return fmt::format("{}.{}.{}", v.major, v.minor, v.patch);
}

void limit_products_to_isa() {
  if (isa() == best_isa()) return;
  const auto level = isa() == Isa::avx512 ? dnnl::cpu_isa::avx512_core_bf16
                     : isa() == Isa::avx2 ? dnnl::cpu_isa::avx2
                                          : dnnl::cpu_isa::sse41;
  require(dnnl::set_max_cpu_isa(level) == dnnl::status::success,
          "[gemm] expected the level {} to be set before the first product; got one before",
          name(isa()));
}

}  // namespace adaspan
