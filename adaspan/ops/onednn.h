// SPDX-License-Identifier: MIT
// Products of matrices on one thread, as oneDNN computes them. Its headers are seen by onednn.cpp
// alone, versions 2 and 3 alike. How products are cut among threads is in gemm.h.
//
// A matrix is f32 or bf16. Both sides of a product have one type (but weights may be f32 beside
// bf16: they are rounded on the way); sums are f32, and a bf16 result is rounded once.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <adaspan/ops/matrix.h>

namespace adaspan {

/// What becomes of a product a b before it is written to c.
struct ProductOptions {
  const float* bias = nullptr;               ///< [columns of c], added to every row
  std::optional<ConstMatrix> residual = {};  ///< of c's columns and type, added
  bool relu = false;                         ///< c = max(c, 0), after all that is added
  bool accumulate = false;                   ///< c += a b instead of c = a b
};

/// c = a b for any number of matrices a and one b, which is prepared once. How oneDNN computes a
/// product of certain extents is planned once a process.
class Product {
 public:
  /// `a`, `c`: the types of those matrices. `rows`: how many rows all a have together, about; b is
  /// brought into oneDNN's own layout when there are enough of them.
  Product(DType a, DType c, const ConstMatrix& b, int64_t rows, const ProductOptions& options = {});
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// By the calling thread alone; may be called by several at once. The residual's rows are taken
  /// from `first` on. Throws Error when oneDNN has nothing for these extents.
  void run(const Matrix& c, const ConstMatrix& a, int64_t first = 0) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// c = a^T b for a [rows,m] and b [rows,n] of one type, both without gaps; c [m,n] is f32. By the
/// calling thread alone, as Product::run.
void sum_over_rows(const Matrix& c, const ConstMatrix& a, const ConstMatrix& b);

/// Limits oneDNN to the level isa(). A part of open_process (process.h), which programs call.
/// Throws Error when that is another level than before, after the first product.
void limit_products_to_isa();

/// The library that computes the products, "2.6.3": the one loaded, not the one compiled with.
std::string onednn_version();

}  // namespace adaspan
