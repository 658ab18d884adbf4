// SPDX-License-Identifier: MIT
// libFuzzer's mutations for safetensors files: most keep the length of the header right, or no
// mutated header would get past the first check.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  uint64_t length = 0;
  constexpr size_t kBegin = sizeof length;
  if (size >= kBegin) std::memcpy(&length, data, kBegin);
  const bool whole = size >= kBegin && length <= size - kBegin && size <= max_size;
  if (!whole || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 1) {
    const size_t end = kBegin + length;
    return end + LLVMFuzzerMutate(data + end, size - end, max_size - end);
  }
  const std::vector<uint8_t> tensors(data + kBegin + length, data + size);
  length = LLVMFuzzerMutate(data + kBegin, length, max_size - kBegin - tensors.size());
  std::memcpy(data, &length, kBegin);
  std::copy(tensors.begin(), tensors.end(), data + kBegin + length);
  return kBegin + length + tensors.size();
}
