// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/decoder_weights.h"

#include <cassert>

namespace adaspan {

ParametersByName::ParametersByName(const Transformer& model) {
  for (const Parameter* p : model.parameters().all()) tensors_[p->name()] = &p->value();
}

const Tensor& ParametersByName::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  assert(found != tensors_.end());
  return *found->second;
}

template <class T>
StoredLinear<T> ParametersByName::linear(const std::string& weight, const std::string& bias) const {
  const Tensor& w = tensor(weight);
  StoredLinear<T> all;
  all.rows = w.shape()[0];
  all.columns = w.shape()[1];
  if constexpr (dtype_of<T> == DType::f32) {
    all.weight = w.data();
  } else {
    all.owned = share(w.converted(dtype_of<T>));
    all.weight = all.owned->template data<T>();
  }
  if (!bias.empty()) all.bias = tensor(bias).data();
  return all;
}

StoredNorm ParametersByName::norm(const std::string& name) const {
  return {tensor(name + ".weight").data(), tensor(name + ".bias").data()};
}

template <class T>
LayerWeights<T> layer_weights(const ParametersByName& parameters, const ModelConfig& config,
                              int64_t layer) {
  const auto named = [&](const char* name) { return layer_name(layer, name); };
  LayerWeights<T> w;
  w.query = parameters.linear<T>(named("attn.proj_query.weight"));
  w.key = parameters.linear<T>(named("attn.proj_key.weight"));
  w.value = parameters.linear<T>(named("attn.proj_val.weight"));
  w.out = parameters.linear<T>(named("attn.proj_out.weight"));
  w.norm1 = parameters.norm(named("norm1"));
  if (config.span_kind == SpanKind::dynamic) {
    w.span = parameters.linear<T>(named("attn.attn.dynamic_span.weight"),
                                  named("attn.attn.dynamic_span.bias"));
  }
  if (config.persistent > 0) {
    w.persistent_keys = parameters.tensor(named("attn.attn.persistent_memory.key")).data();
    w.persistent_values = parameters.tensor(named("attn.attn.persistent_memory.val")).data();
    return w;
  }
  w.inner = parameters.linear<T>(named("ff.fc1.weight"), named("ff.fc1.bias"));
  w.outer = parameters.linear<T>(named("ff.fc2.weight"), named("ff.fc2.bias"));
  w.norm2 = parameters.norm(named("norm2"));
  return w;
}

template StoredLinear<float> ParametersByName::linear(const std::string&, const std::string&) const;
template StoredLinear<bf16> ParametersByName::linear(const std::string&, const std::string&) const;
template LayerWeights<float> layer_weights(const ParametersByName&, const ModelConfig&, int64_t);
template LayerWeights<bf16> layer_weights(const ParametersByName&, const ModelConfig&, int64_t);

}  // namespace adaspan
