// SPDX-License-Identifier: MIT
#include <cassert>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/safetensors.h"
#include "adaspan/core/safetensors_format.h"

namespace adaspan {
namespace safetensors {

void set_header_sum(std::string& header, std::string_view sum) {
  const std::string entry = fmt::format("\"{}\":\"", kHeaderSum);
  const size_t at = header.find(entry);
  if (at == std::string::npos || header.size() - at - entry.size() < sum.size()) return;
  header.replace(at + entry.size(), sum.size(), sum);
}

std::string header_sum(std::string header) {
  set_header_sum(header, kNoSum);
  return sha256(std::as_bytes(std::span(header)));
}

}  // namespace safetensors

using namespace safetensors;

NamedTensor::NamedTensor(std::string tensor_name, const Tensor* tensor)
    : NamedTensor(std::move(tensor_name), tensor->shape(), tensor->type(),
                  [tensor](const ByteSink& sink) {
                    with_any_type(tensor->type(),
                                  [&]<class T>(T) { sink(std::as_bytes(tensor->values<T>())); });
                  }) {
  assert(!tensor->empty());
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> sums(tensors.size());
  parallel_for(static_cast<int64_t>(tensors.size()), [&](int64_t i) {
    Sha256 sum;
    tensors[static_cast<size_t>(i)].write(
        [&](std::span<const std::byte> bytes) { sum.update(bytes); });
    sums[static_cast<size_t>(i)] = sum.digits();
  });

  nlohmann::ordered_json header = {{kMetadata, metadata}},
                         sum_of = nlohmann::ordered_json::object();
  size_t at = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, shape, type, write] = tensors[i];
    require(name != kMetadata, "[safetensors] expected a tensor name other than {}", kMetadata);
    require(!header.contains(name), "[safetensors] expected distinct names; got {} twice", name);
    const size_t end = at + tensors[i].bytes();
    header[name] = {
        {"dtype", type_name(type)}, {"shape", shape.extents()}, {"data_offsets", {at, end}}};
    sum_of[name] = sums[i];
    at = end;
  }
  std::string text;
  try {
    header[kMetadata][kTensorSums] = sum_of.dump();
    header[kMetadata][kHeaderSum] = kNoSum;
    text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of 8 bytes
    set_header_sum(text, header_sum(text));
  } catch (const nlohmann::json::exception& e) {
    fail("[safetensors] expected names and metadata in UTF-8 for {}; got: {}", path.string(),
         e.what());
  }
  const uint64_t header_size = text.size();

  atomic_write(path, [&](const ByteSink& sink) {
    sink(std::as_bytes(std::span(&header_size, 1)));
    sink(std::as_bytes(std::span(text)));
    for (const NamedTensor& one : tensors) one.write(sink);
  });
}

}  // namespace adaspan
