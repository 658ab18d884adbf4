// SPDX-License-Identifier: MIT
// The safetensors format: 8 bytes of header length, a JSON header (name -> dtype, shape, place),
// then the tensors' bytes. Files written here load with any safetensors reader, and carry checksums
// as two entries of the metadata: "tensors_sha256", a JSON object of one SHA-256 a tensor's bytes,
// and "header_sha256", that of the header's text with zeros in its own place.
// Format: github.com/huggingface/safetensors.
#pragma once

#include <filesystem>
#include <functional>
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
  /// F32, BF16 or I32. Throws Error when there is no such tensor, or it is of another type.
  DType type(const std::string& name) const;
  /// The whole tensor, or rows [begin, end) of its first axis; without bytes in memory beside
  /// those. Throws Error as type() does.
  Tensor tensor(const std::string& name) const;
  Tensor rows(const std::string& name, int64_t begin, int64_t end) const;
  /// Calls visit(block) for its bytes in turn, at most kFileBlock at a time.
  void read_blocks(const std::string& name,
                   const std::function<void(std::span<const std::byte>)>& visit) const;
  /// The values of an F32, BF16, F64 or I32 tensor.
  std::vector<double> doubles(const std::string& name) const;

 private:
  struct Entry {
    std::string type;
    Shape shape;
    size_t begin, end;  // bytes, from the start of the file
  };
  const Entry& entry(const std::string& name) const;
  Tensor read(const Entry& entry, Shape shape, DType type, size_t offset) const;
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

/// What is to be written: a tensor, or whatever gives the bytes of one. It is asked for them more
/// than once, by any thread.
struct NamedTensor {
  /// `tensor` must stay.
  NamedTensor(std::string tensor_name, const Tensor* tensor);
  NamedTensor(std::string tensor_name, Shape its_shape, DType its_type,
              std::function<void(const ByteSink&)> its_bytes)
      : name(std::move(tensor_name)),
        shape(std::move(its_shape)),
        type(its_type),
        write(std::move(its_bytes)) {}

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(type); }

  std::string name;
  Shape shape;
  DType type;
  std::function<void(const ByteSink&)> write;  ///< all bytes, in order
};

/// Writes the tensors in the order given, with checksums, by atomic_write. Throws Error as that
/// does.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace adaspan
