// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/autograd/variable.h>
#include <adaspan/core/error.h>

namespace adaspan {

/// Throws Error, in the name of `op`, unless x is of type f32.
inline void require_f32(const char* op, const Variable& x) {
  require(x.type() == DType::f32, "[{}] expected a value of type f32; got {} {}", op,
          name(x.type()), x.shape().text());
}

}  // namespace adaspan
