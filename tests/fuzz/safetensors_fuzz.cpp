// SPDX-License-Identifier: MIT
#include "adaspan/core/safetensors.h"

#include <cassert>
#include <cstring>
#include <deque>

#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

bool same(const std::vector<double>& a, const std::vector<double>& b) {  // NaN is like NaN
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(folder / "input", input);
  const SafetensorsFile file(folder / "input");

  std::deque<Tensor> tensors;  // does not move what it holds
  std::vector<NamedTensor> named;
  allow_error([&] { file.verify(); });
  for (const std::string& name : file.names()) {
    allow_error([&] { file.checksum(name); });
    allow_error([&] { file.doubles(name); });
    allow_error([&] {
      tensors.push_back(file.tensor(name));
      named.push_back({name, &tensors.back()});
    });
  }

  // What can be read can be written, and comes back the same, with checksums.
  write_safetensors(folder / "copy", named, file.metadata());
  const SafetensorsFile copy(folder / "copy");
  copy.verify();
  auto metadata = file.metadata();
  for (const char* added : {"tensors_sha256", "header_sha256"}) {
    metadata[added] = copy.metadata(added);
  }
  assert(copy.metadata() == metadata && copy.names().size() == named.size());
  for (const NamedTensor& one : named) {
    assert(copy.shape(one.name) == file.shape(one.name) &&
           same(copy.doubles(one.name), file.doubles(one.name)));
  }
}

}  // namespace adaspan
