// SPDX-License-Identifier: MIT
// The safetensors format: 8 bytes of header length, a JSON header (name -> dtype, shape, place),
// then the tensors' bytes. Files written here load with any safetensors reader, and carry checksums
// as two entries of the metadata: "tensors_sha256", a JSON object of one SHA-256 a tensor's bytes,
// and "header_sha256", that of the header's text with zeros in its own place.
// Format: github.com/huggingface/safetensors.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <adaspan/core/file.h>
#include <adaspan/core/tensor.h>

namespace adaspan {

/// One opened file; its tensors are read on demand. Whatever reads throws DamagedFile when the file
/// was cut since.
class SafetensorsFile {
 public:
  /// Throws Error when the file is missing, and DamagedFile when it is cut short or not well
  /// formed: every place must lie in the file, fit its shape, and leave no byte uncovered or
  /// covered twice.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// The metadata value of `key`. Throws Error when there is none.
  const std::string& metadata(const std::string& key) const;

  /// Whether it was written with checksums; files of other programs have none.
  bool has_checksums() const;
  /// Reads every byte. Throws DamagedFile, naming the tensor or the header, unless all of them are
  /// those that were written; also when there are no checksums.
  void verify() const;
  /// The SHA-256 that tensor `name` was written with. Throws Error when there is none.
  std::string checksum(const std::string& name) const;

  /// The SHA-256 of the whole file, as any program computes it.
  std::string sha256() const;

  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return entries_.contains(name); }
  /// Throws Error when there is no such tensor.
  const Shape& shape(const std::string& name) const;
  /// An F32, BF16 or I32 tensor. Throws Error when there is none of that name, or of another type.
  Tensor tensor(const std::string& name) const;
  /// The values of an F32, BF16, F64 or I32 tensor.
  std::vector<double> doubles(const std::string& name) const;

 private:
  struct Entry {
    std::string type;
    Shape shape;
    size_t begin, end;  // bytes, from the start of the file
  };
  const Entry& entry(const std::string& name) const;
  template <class T>
  std::vector<double> widened(const Entry& entry) const;
  void read_header();
  void check_coverage(size_t data_begin) const;

  std::filesystem::path path_;
  InputFile file_;
  std::string header_;  // the JSON
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Entry> entries_;
};

struct NamedTensor {
  std::string name;
  const Tensor* tensor;
};

/// Writes the tensors in the order given, with checksums, by atomic_write. Throws Error as that
/// does.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace adaspan
