// SPDX-License-Identifier: MIT
// Reads event files, as their description says they are: shares no code with what writes them.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace adaspan {

/// The fields of a protocol buffer by number: numbers as they are, everything else as bytes.
struct ReadMessage {
  std::map<int, std::vector<uint64_t>> numbers;
  std::map<int, std::vector<std::string>> bytes;

  static uint64_t varint(std::string_view& text) {
    uint64_t value = 0;
    for (int place = 0;; ++place) {
      REQUIRE(!text.empty());
      const auto byte = static_cast<unsigned char>(text.front());
      text.remove_prefix(1);
      value += static_cast<uint64_t>(byte % 128) << (7 * place);
      if (byte < 128) return value;
    }
  }
  static ReadMessage of(std::string_view text) {
    ReadMessage message;
    while (!text.empty()) {
      const uint64_t tag = varint(text);
      const int number = static_cast<int>(tag / 8);
      if (tag % 8 == 0) {
        message.numbers[number].push_back(varint(text));
        continue;
      }
      REQUIRE((tag % 8 == 1 || tag % 8 == 2 || tag % 8 == 5));
      const uint64_t size = tag % 8 == 1 ? 8 : tag % 8 == 5 ? 4 : varint(text);
      REQUIRE(size <= text.size());
      message.bytes[number].emplace_back(text.substr(0, size));
      text.remove_prefix(size);
    }
    return message;
  }
  bool has(int number) const { return bytes.contains(number); }
  std::string text(int number) const { return bytes.at(number).at(0); }
  ReadMessage message(int number) const { return of(text(number)); }
  int64_t number(int n) const {
    return numbers.contains(n) ? static_cast<int64_t>(numbers.at(n).at(0)) : 0;
  }
  template <class T>
  std::vector<T> values(int number) const {
    const std::string all = text(number);
    REQUIRE(all.size() % sizeof(T) == 0);
    std::vector<T> values(all.size() / sizeof(T));
    std::memcpy(values.data(), all.data(), all.size());
    return values;
  }
  double real(int number) const { return values<double>(number).at(0); }
};

/// The bits of x^32 modulo the polynomial, one at a time.
inline uint32_t slow_crc32c(std::string_view text) {
  uint32_t rest = 0xffffffff;
  for (const char c : text) {
    rest ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ (rest % 2 == 1 ? 0x82f63b78 : 0);
  }
  return ~rest;
}

struct ReadEvent {
  double wall_time = 0;
  int64_t step = 0;
  ReadMessage message;
  std::map<std::string, float> scalars;
  std::map<std::string, ReadMessage> histograms;
};

/// All events of a file; a record that is not whole fails the test.
inline std::vector<ReadEvent> read_events(std::string_view file) {
  const auto number_at = [&](size_t begin, auto value) {
    REQUIRE(begin + sizeof value <= file.size());
    std::memcpy(&value, file.data() + begin, sizeof value);
    return value;
  };
  const auto check = [&](size_t begin, size_t size) {
    const uint32_t crc = slow_crc32c(file.substr(begin, size));
    CHECK(number_at(begin + size, uint32_t{}) == std::rotr(crc, 15) + 0xa282ead8);
  };
  std::vector<ReadEvent> events;
  for (size_t at = 0; at < file.size();) {
    const auto size = number_at(at, uint64_t{});
    check(at, 8);
    check(at + 12, size);
    ReadEvent& event = events.emplace_back();
    event.message = ReadMessage::of(file.substr(at + 12, size));
    event.wall_time = event.message.real(1);
    event.step = event.message.number(2);
    if (event.message.has(5)) {
      const ReadMessage summary = event.message.message(5);
      for (const std::string& value : summary.bytes.at(1)) {
        const ReadMessage one = ReadMessage::of(value);
        if (one.has(2)) event.scalars[one.text(1)] = one.values<float>(2).at(0);
        if (one.has(5)) event.histograms[one.text(1)] = one.message(5);
      }
    }
    at += 12 + size + 4;
  }
  return events;
}

}  // namespace adaspan
