// SPDX-License-Identifier: MIT
// A dense, row-major array: float32 or bfloat16 values, or int32 ids. A tensor owns its memory and
// moves; a copy is asked for by name (clone). Const means const: who holds a const Tensor cannot
// change it.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <type_traits>

#include <adaspan/core/bf16.h>
#include <adaspan/core/buffer_pool.h>
#include <adaspan/core/shape.h>

namespace adaspan {

enum class DType { f32, bf16, i32 };

const char* name(DType type);
constexpr size_t size_of(DType type) {
  return type == DType::bf16 ? 2 : 4;
}
template <class T>
inline constexpr DType dtype_of = DType::f32;
template <>
inline constexpr DType dtype_of<bf16> = DType::bf16;
template <>
inline constexpr DType dtype_of<int32_t> = DType::i32;

class Tensor {
 public:
  /// No tensor at all: empty() is true.
  Tensor() = default;
  /// Uninitialised values.
  explicit Tensor(Shape shape, DType type = DType::f32);

  static Tensor zeros(Shape shape, DType type = DType::f32);
  static Tensor filled(Shape shape, float value);
  /// Throws Error unless there are as many values as the shape has elements.
  static Tensor of(Shape shape, std::span<const float> values);
  static Tensor of(Shape shape, std::span<const int32_t> values);

  Tensor clone() const;
  /// The values as `type`, f32 or bf16, rounded to nearest.
  Tensor converted(DType type) const;
  /// The same values under another shape. Throws Error when the number of elements differs.
  Tensor reshaped(Shape shape) &&;

  bool empty() const { return buffer_ == nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return elements_; }
  DType type() const { return type_; }
  size_t bytes() const { return static_cast<size_t>(elements_) * size_of(type_); }

  template <class T = float>
  T* data() {
    return reinterpret_cast<T*>(checked<T>());
  }
  template <class T = float>
  const T* data() const {
    return reinterpret_cast<const T*>(checked<T>());
  }
  template <class T = float>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(elements_)};
  }
  /// The value of an f32 tensor of one element.
  float item() const;

 private:
  template <class T>
  std::byte* checked() const {
    static_assert(std::is_same_v<T, float> || dtype_of<T> != DType::f32);
    assert(type_ == dtype_of<T>);
    return buffer_.get();
  }

  Shape shape_;
  int64_t elements_ = 0;
  DType type_ = DType::f32;
  Buffer buffer_;
};

/// Calls body(T{}) with T the C++ type of a floating-point `type`, to choose code for it.
template <class Body>
auto with_type(DType type, const Body& body) {
  assert(type != DType::i32);
  return type == DType::bf16 ? body(bf16{}) : body(float{});
}

}  // namespace adaspan
