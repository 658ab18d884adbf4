// SPDX-License-Identifier: MIT
#include "adaspan/core/safetensors.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/safetensors_format.h"
#include "adaspan/core/sha256.h"

namespace adaspan {

using namespace safetensors;

namespace {

using nlohmann::json;

size_t bytes_of_type(const std::string& type) {
  if (type == "BF16") return 2;
  if (type == "F32" || type == "I32") return 4;
  if (type == "F64" || type == "I64") return 8;
  return 0;
}

bool all_integers(const json& list) {
  return list.is_array() &&
         std::all_of(list.begin(), list.end(), [](const json& x) { return x.is_number_integer(); });
}

double widen(bf16 x) {
  return to_float(x);
}
template <class T>
double widen(T x) {
  return x;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  try {
    read_header();
  } catch (const json::exception& e) {
    throw DamagedFile(fmt::format(
        "[safetensors] expected a well-formed header in {}; got: {}; the file is damaged or of "
        "another format",
        path_.string(), e.what()));
  } catch (const Error& e) {
    throw DamagedFile(e.what());
  }
}

void SafetensorsFile::read_header() {
  const uint64_t file_size = file_.size();
  uint64_t header_size = 0;
  const auto whole = [&](bool ok) {
    require(ok,
            "[safetensors] expected a whole file at {}; got {} bytes, fewer than its header "
            "says; the file is cut short or of another format",
            path_.string(), file_size);
  };
  whole(file_size >= sizeof header_size);
  file_.read(0, std::as_writable_bytes(std::span(&header_size, 1)));
  whole(header_size <= file_size - sizeof header_size);
  const size_t data_begin = sizeof header_size + header_size;

  header_.resize(header_size);
  file_.read(sizeof header_size, std::as_writable_bytes(std::span(header_)));
  json header = json::parse(header_);
  require(header.is_object(),
          "[safetensors] expected a well-formed header in {}; got JSON that is no object; the file "
          "is damaged or of another format",
          path_.string());
  if (header.contains(kMetadata)) {
    metadata_ = header[kMetadata].get<std::map<std::string, std::string>>();
    header.erase(kMetadata);
  }
  for (const auto& [name, value] : header.items()) {
    const json &shape = value.at("shape"), &offsets = value.at("data_offsets");
    require(all_integers(shape) && all_integers(offsets) && offsets.size() == 2,
            "[safetensors] expected whole numbers for the shape and place of {} in {}; got others; "
            "the file is damaged",
            name, path_.string());
    Entry e{value.at("dtype").get<std::string>(), Shape(shape.get<std::vector<int64_t>>()), 0, 0};
    const auto place = offsets.get<std::array<uint64_t, 2>>();
    whole(place[0] <= place[1] && place[1] <= file_size - data_begin);
    e.begin = data_begin + place[0];
    e.end = data_begin + place[1];
    uint64_t elements = 1;  // in this file at most file_size: stop before an overflow
    for (int64_t extent : e.shape.extents()) {
      whole(extent >= 0 && (extent == 0 || elements <= file_size / extent));
      elements *= static_cast<uint64_t>(extent);
    }
    const size_t size = bytes_of_type(e.type);
    require(size == 0 || elements * size == e.end - e.begin,
            "[safetensors] expected {} bytes for {} {} in {}; got {}; the file is damaged",
            elements * size, name, e.shape.text(), path_.string(), e.end - e.begin);
    entries_.emplace(name, std::move(e));
  }
  check_coverage(data_begin);
}

void SafetensorsFile::check_coverage(size_t data_begin) const {
  std::vector<std::pair<size_t, size_t>> places;
  for (const auto& [name, e] : entries_) places.emplace_back(e.begin, e.end);
  std::sort(places.begin(), places.end());
  size_t at = data_begin;
  for (const auto& [begin, end] : places) {
    require(begin == at,
            "[safetensors] expected the tensors of {} to follow one another; got a gap "
            "or an overlap at byte {}; the file is damaged",
            path_.string(), at);
    at = end;
  }
  require(at == file_.size(),
          "[safetensors] expected {} to end at byte {}; got {} bytes; the file is damaged",
          path_.string(), at, file_.size());
}

const std::string& SafetensorsFile::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  require(found != metadata_.end(), "[safetensors] expected \"{}\" in the header of {}; got none",
          key, path_.string());
  return found->second;
}

bool SafetensorsFile::has_checksums() const {
  return metadata_.contains(kHeaderSum);
}

std::string SafetensorsFile::checksum(const std::string& name) const {
  const json sums = json::parse(metadata(kTensorSums), nullptr, /*allow_exceptions=*/false);
  require(sums.is_object() && sums.contains(name) && sums[name].is_string(),
          "[safetensors] expected a checksum of {} in {}; got none", name, path_.string());
  return sums[name].get<std::string>();
}

void SafetensorsFile::verify() const {
  const auto whole = [&](bool ok, const std::string& what) {
    if (ok) return;
    throw DamagedFile(
        fmt::format("[safetensors] expected {} of {} to have the checksum it was written with; got "
                    "another or none; the file is damaged",
                    what, path_.string()));
  };
  whole(has_checksums() && header_sum(header_) == metadata(kHeaderSum), "the header");
  const std::vector<std::string> names = this->names();
  std::vector<std::string> sums(names.size());
  parallel_for(static_cast<int64_t>(names.size()), [&](int64_t i) {
    const Entry& e = entry(names[static_cast<size_t>(i)]);
    Sha256 sum;
    file_.read_blocks(e.begin, e.end, [&](std::span<const std::byte> block) { sum.update(block); });
    sums[static_cast<size_t>(i)] = sum.digits();
  });
  for (size_t i = 0; i < names.size(); ++i) whole(sums[i] == checksum(names[i]), names[i]);
}

std::string SafetensorsFile::sha256() const {
  return adaspan::sha256(file_);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries_) names.push_back(name);
  return names;
}

const SafetensorsFile::Entry& SafetensorsFile::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  require(found != entries_.end(), "[safetensors] expected a tensor {} in {}; got none", name,
          path_.string());
  return found->second;
}

const Shape& SafetensorsFile::shape(const std::string& name) const {
  return entry(name).shape;
}

DType SafetensorsFile::type(const std::string& name) const {
  const Entry& e = entry(name);
  for (DType type : {DType::f32, DType::bf16, DType::i32}) {
    if (e.type == type_name(type)) return type;
  }
  fail("[safetensors] expected {} in {} to be F32, BF16 or I32; got {}", name, path_.string(),
       e.type);
}

Tensor SafetensorsFile::read(const Entry& e, Shape shape, DType type, size_t offset) const {
  Tensor result(std::move(shape), type);
  with_any_type(type, [&]<class T>(T) {
    file_.read(e.begin + offset, {reinterpret_cast<std::byte*>(result.data<T>()), result.bytes()});
  });
  return result;
}

Tensor SafetensorsFile::tensor(const std::string& name) const {
  return read(entry(name), shape(name), type(name), 0);
}

Tensor SafetensorsFile::rows(const std::string& name, int64_t begin, int64_t end) const {
  std::vector<int64_t> extents = shape(name).extents();
  assert(!extents.empty() && 0 <= begin && begin <= end && end <= extents[0]);
  extents[0] = 1;
  const size_t row = static_cast<size_t>(Shape(extents).elements()) * size_of(type(name));
  extents[0] = end - begin;
  return read(entry(name), Shape(std::move(extents)), type(name), static_cast<size_t>(begin) * row);
}

void SafetensorsFile::read_blocks(
    const std::string& name, const std::function<void(std::span<const std::byte>)>& visit) const {
  const Entry& e = entry(name);
  file_.read_blocks(e.begin, e.end, visit);
}

template <class T>
std::vector<double> SafetensorsFile::widened(const Entry& e) const {
  std::vector<T> values(static_cast<size_t>(e.shape.elements()));
  file_.read(e.begin, std::as_writable_bytes(std::span(values)));
  std::vector<double> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](T x) { return widen(x); });
  return result;
}

std::vector<double> SafetensorsFile::doubles(const std::string& name) const {
  const Entry& e = entry(name);
  if (e.type == "F32") return widened<float>(e);
  if (e.type == "F64") return widened<double>(e);
  if (e.type == "BF16") return widened<bf16>(e);
  if (e.type == "I32") return widened<int32_t>(e);
  fail("[safetensors] expected {} in {} to be F32, BF16, F64 or I32; got {}", name, path_.string(),
       e.type);
}

}  // namespace adaspan
