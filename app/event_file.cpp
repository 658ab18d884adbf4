// SPDX-License-Identifier: MIT
#include "app/event_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace adaspan {
namespace {

constexpr size_t kLength = 8, kChecksum = 4;

constexpr std::array<uint32_t, 256> checksum_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}

/// A checksum of bytes that have checksums in them would be a poor one without this.
uint32_t masked_checksum(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <class Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

template <class Integer>
Integer from_little_endian(std::string_view bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

// Fields of a protocol buffer, by number.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string field(uint64_t number, WireType type, const std::string& content) {
  return varint(number << 3 | type) + content;
}
std::string number_field(uint64_t number, int64_t value) {
  return field(number, kVarint, varint(static_cast<uint64_t>(value)));
}
std::string double_bytes(double value) {
  return little_endian(std::bit_cast<uint64_t>(value));
}
std::string double_field(uint64_t number, double value) {
  return field(number, kFixed64, double_bytes(value));
}
std::string float_field(uint64_t number, float value) {
  return field(number, kFixed32, little_endian(std::bit_cast<uint32_t>(value)));
}
std::string bytes_field(uint64_t number, std::string_view bytes) {
  return field(number, kBytes, varint(bytes.size()) + std::string(bytes));
}
std::string doubles_field(uint64_t number, std::span<const double> values) {
  std::string all;
  for (const double value : values) all += double_bytes(value);
  return bytes_field(number, all);
}

std::string record(std::string_view event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  return length + little_endian(masked_checksum(length)) + std::string(event) +
         little_endian(masked_checksum(event));
}

// tensorflow.Event: double wall_time = 1; int64 step = 2; string file_version = 3;
//                   Summary summary = 5; SessionLog session_log = 7
std::string event(double wall_time, int64_t step, const std::string& what) {
  return record(double_field(1, wall_time) + (step == 0 ? "" : number_field(2, step)) + what);
}

/// Takes a varint off the front; nothing where it does not end.
std::optional<uint64_t> take_varint(std::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

/// The step of an event, 0 where it has none; nothing where it is no event.
std::optional<int64_t> step_of(std::string_view event) {
  int64_t step = 0;
  while (!event.empty()) {
    const std::optional<uint64_t> tag = take_varint(event);
    if (!tag) return {};
    size_t size = 0;
    switch (*tag & 7) {
      case kVarint: {
        const std::optional<uint64_t> value = take_varint(event);
        if (!value) return {};
        if (*tag >> 3 == 2) step = static_cast<int64_t>(*value);
        break;
      }
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kBytes: {
        const std::optional<uint64_t> length = take_varint(event);
        if (!length || *length > event.size()) return {};
        size = *length;
        break;
      }
      default:
        return {};
    }
    if (size > event.size()) return {};
    event.remove_prefix(size);
  }
  return step;
}

constexpr double kGrowth = 1.1;  // of a bucket's limit from the one before

/// Buckets' upper limits and counts: from the last empty one before the first value on.
struct Buckets {
  std::vector<double> limits, counts;
};

Buckets buckets_of(std::span<const float> values) {
  const double high = *std::ranges::max_element(values), low = *std::ranges::min_element(values);
  Buckets buckets;
  double below = -std::numeric_limits<double>::infinity();
  for (double limit = 0;; limit = limit == 0 ? 1 : limit * kGrowth) {
    const auto inside = [&](float value) { return value > below && value <= limit; };
    const auto count = static_cast<double>(std::ranges::count_if(values, inside));
    if (limit < low) {  // only the last of these
      buckets.limits.assign(1, limit);
      buckets.counts.assign(1, 0);
    } else {
      buckets.limits.push_back(limit);
      buckets.counts.push_back(count);
    }
    if (limit >= high) return buckets;
    below = limit;
  }
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = checksum_table();
  uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc >> 8;
  }
  return ~crc;
}

// tensorflow.Summary: repeated Value value = 1, of which
//   string tag = 1; float simple_value = 2; HistogramProto histo = 5
void EventSummary::add_scalar(std::string_view tag, double value) {
  if (!std::isfinite(value)) return;
  bytes_ += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
}

// tensorflow.HistogramProto: double min = 1, max = 2, num = 3, sum = 4, sum_squares = 5;
//                            repeated double bucket_limit = 6, bucket = 7
void EventSummary::add_histogram(std::string_view tag, std::span<const float> values) {
  const auto finite = [](float value) { return std::isfinite(value); };
  if (values.empty() || !std::ranges::all_of(values, finite)) return;
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const Buckets buckets = buckets_of(values);
  const std::string histogram = double_field(1, *std::ranges::min_element(values)) +
                                double_field(2, *std::ranges::max_element(values)) +
                                double_field(3, static_cast<double>(values.size())) +
                                double_field(4, sum) + double_field(5, squares) +
                                doubles_field(6, buckets.limits) + doubles_field(7, buckets.counts);
  bytes_ += bytes_field(1, bytes_field(1, tag) + bytes_field(5, histogram));
}

std::string first_record(double wall_time) {
  return event(wall_time, 0, bytes_field(3, "brain.Event:2"));
}

std::string summary_record(double wall_time, int64_t step, const EventSummary& summary) {
  return event(wall_time, step, bytes_field(5, summary.bytes()));
}

// tensorflow.SessionLog: SessionStatus status = 1, of which START = 1
std::string session_record(double wall_time, int64_t first_step) {
  return event(wall_time, first_step, bytes_field(7, number_field(1, 1)));
}

std::string records_up_to(std::string_view file, int64_t last_step) {
  std::string kept;
  while (file.size() >= kLength + 2 * kChecksum) {
    const std::string_view length_bytes = file.substr(0, kLength);
    const auto length = from_little_endian<uint64_t>(length_bytes);
    const auto checksum_at = [&](size_t begin) {
      return from_little_endian<uint32_t>(file.substr(begin, kChecksum));
    };
    if (checksum_at(kLength) != masked_checksum(length_bytes)) break;
    if (length > file.size() - kLength - 2 * kChecksum) break;
    const std::string_view event = file.substr(kLength + kChecksum, length);
    const std::optional<int64_t> step = step_of(event);
    if (!step || checksum_at(kLength + kChecksum + length) != masked_checksum(event)) break;
    const size_t whole = kLength + kChecksum + length + kChecksum;
    if (*step <= last_step) kept += file.substr(0, whole);
    file.remove_prefix(whole);
  }
  return kept;
}

}  // namespace adaspan
