// SPDX-License-Identifier: MIT
#include "app/event_file.h"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/event_reader.h"

using namespace adaspan;

namespace {

EventSummary scalar(const char* tag, double value) {
  EventSummary summary;
  summary.add_scalar(tag, value);
  return summary;
}

TEST_CASE("the checksum is that of RFC 3720") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
}

TEST_CASE("what is written is read again") {
  EventSummary summary;
  summary.add_scalar("a/b", 0.1);
  summary.add_scalar("c", -3e10);
  const std::string file = first_record(5.5) + session_record(6, 301) +
                           summary_record(7.25, 300, summary) +
                           summary_record(8, int64_t{1} << 40, scalar("d", 1));
  const std::vector<ReadEvent> events = read_events(file);
  REQUIRE(events.size() == 4);
  CHECK(events[0].wall_time == 5.5);
  CHECK(events[0].message.text(3) == "brain.Event:2");
  CHECK(events[1].step == 301);
  CHECK(events[1].message.message(7).number(1) == 1);
  CHECK(events[2].wall_time == 7.25);
  CHECK(events[2].step == 300);
  CHECK(events[2].scalars == std::map<std::string, float>{{"a/b", 0.1f}, {"c", -3e10f}});
  CHECK(events[3].step == int64_t{1} << 40);
}

TEST_CASE("a histogram counts all values, each in its bucket") {
  const std::vector<float> values = {0, 0.5f, 31, 31.5f, 400, 8192};
  EventSummary summary;
  summary.add_histogram("z", values);
  const ReadMessage histogram = read_events(summary_record(1, 2, summary)).at(0).histograms.at("z");
  CHECK(histogram.real(1) == 0);
  CHECK(histogram.real(2) == 8192);
  CHECK(histogram.real(3) == 6);
  CHECK(histogram.real(4) == doctest::Approx(0.5 + 31 + 31.5 + 400 + 8192));
  CHECK(histogram.real(5) == doctest::Approx(0.25 + 961 + 992.25 + 160000 + 8192.0 * 8192));
  const auto limits = histogram.values<double>(6), counts = histogram.values<double>(7);
  REQUIRE(limits.size() == counts.size());
  CHECK(std::accumulate(counts.begin(), counts.end(), 0.0) == 6);
  for (size_t i = 0; i < limits.size(); ++i) {
    const double below = i == 0 ? -1 : limits[i - 1];
    CHECK(limits[i] > below);
    double inside = 0;
    for (const float value : values) inside += value > below && value <= limits[i];
    CHECK(counts[i] == inside);
  }
}

TEST_CASE("a histogram begins with the bucket below its least value") {
  EventSummary summary;
  summary.add_histogram("z", std::vector<float>{100, 101});
  const ReadMessage histogram = read_events(summary_record(1, 2, summary)).at(0).histograms.at("z");
  const auto limits = histogram.values<double>(6), counts = histogram.values<double>(7);
  CHECK(counts[0] == 0);
  CHECK(limits[0] < 100);
  CHECK(limits[0] > 90);
  CHECK(counts[1] == 2);
  CHECK(counts.size() == 2);
}

TEST_CASE("what is not finite is left out") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EventSummary summary;
  summary.add_scalar("a", kNan);
  summary.add_scalar("b", std::numeric_limits<double>::infinity());
  summary.add_histogram("c", std::vector<float>{1, kNan});
  summary.add_histogram("d", std::vector<float>{});
  CHECK(summary.empty());
}

TEST_CASE("records of later steps are dropped, and all from the first damaged one on") {
  const std::string first = first_record(1), two = summary_record(1, 2, scalar("a", 1)),
                    three = summary_record(1, 3, scalar("a", 1));
  const std::string file = first + two + three + two;
  CHECK(records_up_to(file, 3) == file);
  CHECK(records_up_to(file, 2) == first + two + two);
  CHECK(records_up_to(file, 1) == first);
  CHECK(records_up_to("", 1).empty());
  for (size_t end = 0; end < file.size(); ++end) {  // cut anywhere
    const std::string kept = records_up_to(file.substr(0, end), 3);
    CHECK(kept.size() <= end);
    CHECK((kept.empty() || kept == first || kept == first + two || kept == first + two + three));
  }
  for (size_t at = 0; at < two.size(); ++at) {  // a byte that has changed
    std::string damaged = file;
    damaged[first.size() + at] ^= 1;
    CHECK(records_up_to(damaged, 3) == first);
  }
}

}  // namespace
