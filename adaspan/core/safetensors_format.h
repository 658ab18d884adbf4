// SPDX-License-Identifier: MIT
// What reader and writer of safetensors files both know; for safetensors*.cpp.
#pragma once

#include <string>
#include <string_view>

#include <adaspan/core/sha256.h>
#include <adaspan/core/tensor.h>

namespace adaspan::safetensors {

inline constexpr const char* kMetadata = "__metadata__";  // of the header: no tensor
inline constexpr const char* kTensorSums = "tensors_sha256";
inline constexpr const char* kHeaderSum = "header_sha256";
inline const std::string kNoSum(kSha256Digits, '0');

/// Puts `sum` into the header's place for its own checksum.
void set_header_sum(std::string& header, std::string_view sum);
/// The checksum of a header, its own place filled with zeros.
std::string header_sum(std::string header);

inline const char* type_name(DType type) {
  return type == DType::f32 ? "F32" : type == DType::bf16 ? "BF16" : "I32";
}

/// Calls body(T{}) with T the C++ type of `type`.
template <class Body>
auto with_any_type(DType type, const Body& body) {
  return type == DType::i32 ? body(int32_t{}) : with_type(type, body);
}

}  // namespace adaspan::safetensors
