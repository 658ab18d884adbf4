// SPDX-License-Identifier: MIT
// The only file that sees oneDNN, whose versions 2 and 3 differ in how primitives are made.
#include "adaspan/ops/onednn.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <shared_mutex>
#include <unordered_map>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"

namespace adaspan {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using Arguments = std::unordered_map<int, memory>;

constexpr int64_t kTypicalRows = 512;  // that a product is made for when b is packed
// Of b at a time: multiples of all blocks of a layout.
constexpr int64_t kColumnsPacked = 256, kRowsPacked = 128;
constexpr int64_t kRowsWorthPacking = 64;  // from here on a reorder of b gains more than it costs

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

primitive_attr with_own_scratchpad() {
  primitive_attr attr;
  // With the library's scratchpad a primitive that two threads run at once gives wrong results.
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

/// What is done to a product; `residual` describes the one there is in options.
primitive_attr attributes(const ProductOptions& options, const memory::desc& residual) {
  dnnl::post_ops after;
  if (options.accumulate) after.append_sum(1.0f);
  if (options.residual) after.append_binary(dnnl::algorithm::binary_add, residual);
  const auto relu = dnnl::algorithm::eltwise_relu;
#if DNNL_VERSION_MAJOR >= 3
  if (options.relu) after.append_eltwise(relu, 0, 0);
#else
  if (options.relu) after.append_eltwise(1, relu, 0, 0);
#endif
  primitive_attr attr = with_own_scratchpad();
  attr.set_post_ops(after);
  return attr;
}

/// c = a^T b as the weight gradient of an inner product y = x w^T, which is what it is used for.
dnnl::inner_product_backward_weights::primitive_desc describe_sum(const ConstMatrix& c,
                                                                  const ConstMatrix& a,
                                                                  const ConstMatrix& b) {
  const auto kind = dnnl::prop_kind::forward_training;
  const memory::desc dw = describe(c), dy = describe(a), x = describe(b);
  const memory::desc w({c.rows, c.columns}, type_of(b.type), memory::format_tag::any);
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
auto made(const ConstMatrix& a, const ConstMatrix& b, const Make& make) {
  const Timed timed("planned products", 0, 0);
  count(Counted::plan);
  try {
    return make();
  } catch (const dnnl::error& e) {
    fail("[gemm] expected a product of {} [{}, {}] and {} [{}, {}] that oneDNN can plan; got: {}",
         name(a.type), a.rows, a.columns, name(b.type), b.rows, b.columns, e.what());
  }
}

/// A primitive for certain extents and strides.
struct Primitive {
  dnnl::primitive primitive;
  memory::desc scratchpad;

  explicit Primitive(const dnnl::primitive_desc_base& description)
      : primitive(description.get()), scratchpad(description.scratchpad_desc()) {}
  void run(Arguments arguments) const {
    const Buffer scratch = allocate(scratchpad.get_size());
    arguments.emplace(DNNL_ARG_SCRATCHPAD, wrap(scratchpad, scratch.get()));
    thread_local dnnl::stream stream(engine());
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

/// A layout of b that oneDNN has chosen. Plans that use it are told apart by its number.
struct Layout {
  memory::desc desc;
  int64_t number;
};

/// Plans by what tells them apart, for the whole process: a small model asks for a hundred in each
/// step, the same ones as in the step before, and making one takes as long as a small product.
template <class Plan>
class Plans {
 public:
  using Key = std::array<int64_t, 16>;

  template <class Make>
  std::shared_ptr<const Plan> get(const Key& key, const Make& make) {
    {
      const std::shared_lock lock(mutex_);
      const auto found = kept_.find(key);
      if (found != kept_.end()) return found->second;
    }
    auto plan =
        std::make_shared<const Plan>(make());  // two may make the same; the first one's stays
    const std::lock_guard lock(mutex_);
    if (kept_.size() >= kMostKept) kept_.clear();
    return kept_.try_emplace(key, std::move(plan)).first->second;
  }

 private:
  static constexpr size_t kMostKept = 8192;  // spans that move ask for ever new ones

  std::shared_mutex mutex_;
  std::map<Key, std::shared_ptr<const Plan>> kept_;
};

template <class Plan>
Plans<Plan>& plans() {
  static auto* const all = new Plans<Plan>;  // never destroyed: see the pool of memory
  return *all;
}

enum Kind : int64_t { kLayout, kPacking, kProduct, kSum };

int64_t number_of(DType type) {
  return static_cast<int64_t>(type);
}

}  // namespace

struct Product::State {
  ConstMatrix b;
  DType a_type, c_type;
  ProductOptions options;
  memory::desc b_desc, bias_desc;
  Buffer packed;       // b in oneDNN's layout, if it is not used as it lies
  int64_t layout = 0;  // its number

  dnnl::matmul::primitive_desc description(const ConstMatrix& a, const memory::desc& weights,
                                           const ConstMatrix& c, const ConstMatrix& r) const {
    const auto attr = attributes(options, options.residual ? describe(r) : memory::desc());
#if DNNL_VERSION_MAJOR >= 3
    return {engine(), describe(a), weights, bias_desc, describe(c), attr};
#else
    return {dnnl::matmul::desc(describe(a), weights, bias_desc, describe(c)), attr, engine()};
#endif
  }

  int64_t options_number() const {
    return (options.bias != nullptr) + 2 * options.residual.has_value() + 4 * options.relu +
           8 * options.accumulate;
  }

  /// Makes b's copy in oneDNN's own layout, if it wants one for so many rows.
  void pack(int64_t rows);
};

void Product::State::pack(int64_t rows) {
  const int64_t k = b.rows, n = b.columns;
  {
    const ThreadLimit alone(1);  // as in run()
    const int64_t typical = std::clamp<int64_t>(rows, 1, kTypicalRows);
    const auto chosen = plans<Layout>().get(
        {kLayout, typical, k, n, number_of(a_type), number_of(c_type), options_number()}, [&] {
          static std::atomic<int64_t> chosen_before = 0;
          const ConstMatrix some_a{nullptr, a_type, typical, k, k};
          const ConstMatrix some_c{nullptr, c_type, typical, n, n};
          const memory::desc any({k, n}, type_of(a_type), memory::format_tag::any);
          return Layout{
              made(some_a, b,
                   [&] { return description(some_a, any, some_c, some_c).weights_desc(); }),
              ++chosen_before};
        });
    b_desc = chosen->desc;
    if (b_desc == describe(b)) return;
    layout = chosen->number;
  }
  const Timed timed("packed weights", 0, 2.0 * static_cast<double>(b_desc.get_size()));
  packed = allocate(b_desc.get_size());
  // By threads of our own: the library's would spin beside them. A copy has no order to keep.
  const int64_t down = chunk_count(k, kRowsPacked), across = chunk_count(n, kColumnsPacked);
  parallel_for(down * across, [&](int64_t i) {
    const ThreadLimit alone(1);
    const int64_t row = i / across * kRowsPacked, column = i % across * kColumnsPacked;
    const ConstMatrix block = b.rows_of(row, std::min(k, row + kRowsPacked))
                                  .columns_of(column, std::min(n, column + kColumnsPacked));
    const memory::desc from = describe(block);
    const memory::desc to = b_desc.submemory_desc({block.rows, block.columns}, {row, column});
    const auto plan =
        plans<Primitive>().get({kPacking, k, n, row, column, number_of(block.type),
                                block.row_stride, block.column_stride, layout},
                               [&] {
                                 return made(b, b, [&] {
                                   return Primitive(dnnl::reorder::primitive_desc(
                                       engine(), from, engine(), to, with_own_scratchpad()));
                                 });
                               });
    plan->run({{DNNL_ARG_FROM, wrap(from, block.data)}, {DNNL_ARG_TO, wrap(to, packed.get())}});
  });
}

Product::Product(DType a, DType c, const ConstMatrix& b, int64_t rows,
                 const ProductOptions& options)
    : state_(new State{b, a, c, options, describe(b), {}, {}}) {
  assert(b.type == a || b.type == DType::f32);
  assert(a == DType::bf16 || c == DType::f32);
  const int64_t k = b.rows, n = b.columns;
  if (options.bias) state_->bias_desc = describe(matrix(options.bias, 1, n));
  if (k == 0 || n == 0 || (b.type == a && rows < kRowsWorthPacking)) return;
  state_->pack(rows);
}

Product::~Product() = default;

void Product::run(const Matrix& c, const ConstMatrix& a, int64_t first) const {
  State& s = *state_;
  assert(a.rows == c.rows && s.b.columns == c.columns && a.columns == s.b.rows);
  assert(a.type == s.a_type && c.type == s.c_type);
  std::optional<ConstMatrix> residual = s.options.residual;
  if (residual) residual = residual->rows_of(first, first + c.rows);
  assert(!residual || (residual->columns == c.columns && residual->type == c.type));
  if (c.rows == 0 || c.columns == 0) return;
  assert(a.columns > 0 || (!s.options.bias && !residual));
  if (a.columns == 0 && !s.options.accumulate) fill_with_zeros(c);  // oneDNN may leave it as it was
  if (a.columns == 0) return;
  const ThreadLimit alone(1);
  const ConstMatrix r = residual.value_or(c);
  const auto primitive = plans<Primitive>().get(
      {kProduct, a.rows, a.columns, s.b.columns, number_of(a.type), number_of(c.type),
       number_of(s.b.type), s.options_number(), a.row_stride, a.column_stride, s.b.row_stride,
       s.b.column_stride, c.row_stride, r.row_stride, r.column_stride, s.layout},
      [&] { return made(a, s.b, [&] { return Primitive(s.description(a, s.b_desc, c, r)); }); });
  Arguments arguments = {{DNNL_ARG_SRC, wrap(describe(a), a.data)},
                         {DNNL_ARG_WEIGHTS, wrap(s.b_desc, s.packed ? s.packed.get() : s.b.data)},
                         {DNNL_ARG_DST, wrap(describe(c), c.data)}};
  // Not empty ones: oneDNN refuses an argument that the primitive does not know.
  if (s.options.bias) arguments.emplace(DNNL_ARG_BIAS, wrap(s.bias_desc, s.options.bias));
  const int place = s.options.accumulate ? 1 : 0;  // in the list of what comes after the product
  const int residual_place = DNNL_ARG_ATTR_MULTIPLE_POST_OP(place) | DNNL_ARG_SRC_1;
  if (residual) arguments.emplace(residual_place, wrap(describe(r), r.data));
  primitive->run(std::move(arguments));
}

void sum_over_rows(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b) {
  assert(a.rows == b.rows && a.columns == c.rows && b.columns == c.columns);
  assert(a.type == b.type && c.type == DType::f32);
  if (c.rows == 0 || c.columns == 0) return;
  if (a.rows == 0) return fill_with_zeros(c);
  const ThreadLimit alone(1);
  const auto primitive = plans<Primitive>().get(
      {kSum, a.rows, a.columns, b.columns, number_of(a.type)},
      [&] { return made(a.transposed(), b, [&] { return Primitive(describe_sum(c, a, b)); }); });
  primitive->run({{DNNL_ARG_SRC, wrap(describe(b), b.data)},
                  {DNNL_ARG_DIFF_DST, wrap(describe(a), a.data)},
                  {DNNL_ARG_DIFF_WEIGHTS, wrap(describe(c), c.data)}});
}

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl_version();
  return fmt::format("{}.{}.{}", v.major, v.minor, v.patch);
}

void limit_products_to_isa() {
  static Isa limit = best_isa();  // oneDNN's now
  if (isa() == limit) return;
  const auto level = isa() == best_isa()    ? dnnl::cpu_isa()  // no limit
                     : isa() == Isa::avx512 ? dnnl::cpu_isa::avx512_core_bf16
                     : isa() == Isa::avx2   ? dnnl::cpu_isa::avx2
                                            : dnnl::cpu_isa::sse41;
  require(dnnl::set_max_cpu_isa(level) == dnnl::status::success,
          "[gemm] expected the level {} to be set before the first product; got one before",
          name(isa()));
  limit = isa();
}

}  // namespace adaspan
