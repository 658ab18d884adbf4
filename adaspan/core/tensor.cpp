// SPDX-License-Identifier: MIT
#include "adaspan/core/tensor.h"

#include <algorithm>
#include <cstring>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"

namespace adaspan {
namespace {

template <class T>
Tensor copy_of(Shape shape, DType type, std::span<const T> values) {
  require(shape.elements() == static_cast<int64_t>(values.size()),
          "[tensor] expected {} values for shape {}; got {}", shape.elements(), shape.text(),
          values.size());
  Tensor result(std::move(shape), type);
  std::copy(values.begin(), values.end(), result.data<T>());
  return result;
}

}  // namespace

const char* name(DType type) {
  return type == DType::f32 ? "f32" : type == DType::bf16 ? "bf16" : "i32";
}

Tensor::Tensor(Shape shape, DType type) : shape_(std::move(shape)), type_(type) {
  auto size = static_cast<int64_t>(size_of(type));
  for (int64_t extent : shape_.extents()) {
    require(extent >= 0, "[tensor] expected extents of at least 0; got shape {}", shape_.text());
    require(!__builtin_mul_overflow(size, extent, &size),
            "[tensor] expected fewer than 2^63 bytes; got shape {}", shape_.text());
  }
  elements_ = shape_.elements();
  buffer_ = allocate(bytes());
}

Tensor Tensor::zeros(Shape shape, DType type) {
  Tensor result(std::move(shape), type);
  std::memset(result.buffer_.get(), 0, result.bytes());
  return result;
}

Tensor Tensor::filled(Shape shape, float value) {
  Tensor result(std::move(shape));
  std::fill_n(result.data(), result.elements(), value);
  return result;
}

Tensor Tensor::of(Shape shape, std::span<const float> values) {
  return copy_of(std::move(shape), DType::f32, values);
}

Tensor Tensor::of(Shape shape, std::span<const int32_t> values) {
  return copy_of(std::move(shape), DType::i32, values);
}

Tensor Tensor::clone() const {
  if (empty()) return {};
  Tensor result(shape_, type_);
  std::memcpy(result.buffer_.get(), buffer_.get(), bytes());
  return result;
}

Tensor Tensor::converted(DType type) const {
  if (type == type_) return clone();
  assert(type != DType::i32 && type_ != DType::i32);
  Tensor result(shape_, type);
  parallel_chunks(elements_, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (type == DType::f32) {
        result.data()[i] = to_float(data<bf16>()[i]);
      } else {
        result.data<bf16>()[i] = to_bf16(data()[i]);
      }
    }
  });
  return result;
}

Tensor Tensor::reshaped(Shape shape) && {
  require(shape.elements() == elements_,
          "[tensor] expected a shape of {} elements in place of {}; got {}", elements_,
          shape_.text(), shape.text());
  shape_ = std::move(shape);
  return std::move(*this);
}

float Tensor::item() const {
  require(elements_ == 1, "[tensor] expected one element; got shape {}", shape_.text());
  return *data();
}

}  // namespace adaspan
