// SPDX-License-Identifier: MIT
// Event files, as TensorBoard reads them: records one after another, each
//   length (uint64), masked CRC32C of these 8 bytes, the event, masked CRC32C of the event
// all little-endian; an event is a protocol buffer (tensorflow.Event) of a few numbers and texts,
// which need no library to be written.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace adaspan {

/// CRC32C (Castagnoli).
uint32_t crc32c(std::string_view bytes);

/// What is known at a step: numbers, and how numbers are spread, by tag. What is not finite is left
/// out.
class EventSummary {
 public:
  void add_scalar(std::string_view tag, double value);
  /// Counts of the values that are 0, in (0, 1], (1, 1.1], (1.1, 1.21], ...; none is negative.
  void add_histogram(std::string_view tag, std::span<const float> values);

  bool empty() const { return bytes_.empty(); }
  const std::string& bytes() const { return bytes_; }  ///< tensorflow.Summary

 private:
  std::string bytes_;
};

/// Records: the first one of a file; a summary at a step; "all that was told of `first_step` and
/// later ones is void: a session begins". `wall_time` is in seconds since 1970.
std::string first_record(double wall_time);
std::string summary_record(double wall_time, int64_t step, const EventSummary& summary);
std::string session_record(double wall_time, int64_t first_step);

/// The records of a file in order, up to the first that is cut short or damaged; those of steps
/// after `last_step` are left out.
std::string records_up_to(std::string_view file, int64_t last_step);

}  // namespace adaspan
