// SPDX-License-Identifier: MIT
// A model's weights as a decoder reads them: by name, in f32 as they are, or copied to bf16.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <adaspan/models/transformer.h>

namespace adaspan {

/// y = W x + b, W [rows, columns] stored as T
template <class T>
struct StoredLinear {
  Value owned;  ///< where W is a copy
  const T* weight = nullptr;
  const float* bias = nullptr;  ///< or none
  int64_t rows = 0, columns = 0;

  double bytes() const {
    return static_cast<double>(rows) *
           (static_cast<double>(columns) * sizeof(T) + (bias != nullptr ? sizeof(float) : 0));
  }
};

struct StoredNorm {
  const float* gain;
  const float* bias;
};

/// A layer's, in the order of their use; without feed-forward layer and norm2 where the model has
/// persistent vectors.
template <class T>
struct LayerWeights {
  StoredLinear<T> query, key, value, out;
  StoredLinear<T> span;  ///< of dynamic spans
  StoredNorm norm1{};
  StoredLinear<T> inner, outer;
  StoredNorm norm2{};
  const float* persistent_keys = nullptr;    ///< [K,D,P]
  const float* persistent_values = nullptr;  ///< [K,P,D]
};

/// The parameters of a model by their names.
class ParametersByName {
 public:
  explicit ParametersByName(const Transformer& model);
  const Tensor& tensor(const std::string& name) const;
  template <class T>
  StoredLinear<T> linear(const std::string& weight, const std::string& bias = "") const;
  StoredNorm norm(const std::string& name) const;

 private:
  std::map<std::string, const Tensor*> tensors_;
};

template <class T>
LayerWeights<T> layer_weights(const ParametersByName& parameters, const ModelConfig& config,
                              int64_t layer);

}  // namespace adaspan
