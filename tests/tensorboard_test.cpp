// SPDX-License-Identifier: MIT
#include "app/tensorboard.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/train/run/metrics.h"
#include "app/several_observers.h"
#include "tests/support/event_reader.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

namespace fs = std::filesystem;

/// Ends a run after a step, as a signal does; or breaks it off, as a crash does.
struct Ending : RunObserver {
  void stepped(const StepReport& report, double) override {
    if (report.step == breaks_at) throw std::runtime_error("broken off");
    stop = report.step == stops_at;
  }
  int64_t stops_at = -1, breaks_at = -1;
  std::atomic<bool> stop = false;
};

struct Place : RunPlace {
  TrainingConfig config() const {
    TrainingConfig c = run_config();
    c.run.checkpoint = (folder / "run" / "c.safetensors").string();
    c.run.steps_per_round = 4;
    c.run.rounds = 3;
    c.run.log_steps = 1;
    return c;
  }
  void go(const TrainingConfig& c, int64_t stops_at, int64_t breaks_at = -1) const {
    Output output;
    output.quiet = true;
    TensorBoardLog log(output, events, c);
    Trainer run_trainer = trainer(c);
    Ending ending;
    ending.stops_at = stops_at;
    ending.breaks_at = breaks_at;
    SeveralObservers both;
    both.add(log);
    both.add(ending);
    try {
      run(run_trainer, both, ending.stop);
    } catch (const std::runtime_error&) {
    }
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(events)) all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
  }
  std::vector<ReadEvent> all_events() const {
    std::vector<ReadEvent> all;
    for (const fs::path& file : files()) {
      for (ReadEvent& event : read_events(read_text(file))) all.push_back(std::move(event));
    }
    return all;
  }
  /// The steps of a tag, in the order in which they are read.
  std::vector<int64_t> steps_of(const std::string& tag) const {
    std::vector<int64_t> steps;
    for (const ReadEvent& event : all_events()) {
      if (event.scalars.contains(tag) || event.histograms.contains(tag)) {
        steps.push_back(event.step);
      }
    }
    return steps;
  }

  fs::path events = folder / "some" / "events";
};

using Steps = std::vector<int64_t>;

TEST_CASE("events have the numbers of the metrics") {
  const Place place;
  TrainingConfig c = place.config();
  c.run.log_steps = 3;
  place.go(c, -1);
  std::map<int64_t, ReadEvent> steps, validations;
  for (const ReadEvent& event : place.all_events()) {
    if (event.scalars.contains("bpc/train")) steps[event.step] = event;
    if (event.scalars.contains("bpc/valid")) validations[event.step] = event;
  }
  size_t lines = 0;
  for (const auto& line :
       read_metrics(fs::path(c.run.checkpoint).parent_path() / "metrics.jsonl")) {
    const int64_t step = line.at("step");
    if (line.contains("valid_bpc")) {
      CHECK(validations.at(step).scalars.at("bpc/valid") ==
            doctest::Approx(line["valid_bpc"].get<double>()));
    }
    if (!line.contains("grad_norm")) continue;
    ++lines;
    const auto& scalars = steps.at(step).scalars;
    CHECK(scalars.at("bpc/train") == doctest::Approx(line["bpc"].get<double>()));
    CHECK(scalars.at("learning_rate") == doctest::Approx(line["lr"].get<double>()));
    CHECK(scalars.at("gradient/norm") == doctest::Approx(line["grad_norm"].get<double>()));
    CHECK(scalars.at("gradient/clipped") == doctest::Approx(line["clipped"].get<double>()));
    CHECK(scalars.at("span/mean") == line["span_mean"].get<double>());
    CHECK(scalars.at("span/max") == line["span_max"].get<double>());
    CHECK(scalars.at("tokens_per_s") > 0);
    for (size_t l = 0; l < line["spans"].size(); ++l) {
      double sum = 0;
      for (const double z : line["spans"][l]) sum += z;
      const ReadMessage& histogram =
          steps.at(step).histograms.at("spans/layer_" + std::to_string(l));
      CHECK(histogram.real(3) == static_cast<double>(line["spans"][l].size()));
      CHECK(histogram.real(4) == doctest::Approx(sum).epsilon(1e-6));
    }
  }
  CHECK(lines == steps.size());
  CHECK(lines == 6);  // 3, 4, 6, 8, 9, 12
  CHECK(validations.size() == 3);
}

TEST_CASE("a run that was stopped goes on in a file of its own, which begins a session") {
  const Place place;
  place.go(place.config(), 6);
  place.go(place.config(), -1);
  CHECK(place.files().size() == 2);
  CHECK(place.steps_of("bpc/train") == Steps{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(place.steps_of("spans/layer_1") == Steps{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(place.steps_of("bpc/valid") == Steps{4, 8, 12});
  const std::vector<ReadEvent> later = read_events(read_text(place.files()[1]));
  CHECK(later[0].message.text(3) == "brain.Event:2");
  CHECK(later[1].message.message(7).number(1) == 1);
  CHECK(later[1].step == 7);
}

TEST_CASE("steps that a broken run had not saved are in its files once") {
  const Place place;
  place.go(place.config(), -1, /*breaks_at=*/7);
  CHECK(place.steps_of("bpc/train") == Steps{1, 2, 3, 4, 5, 6, 7});
  place.go(place.config(), -1, /*breaks_at=*/11);  // from 4
  place.go(place.config(), -1);                    // from 8
  CHECK(place.files().size() == 3);
  CHECK(place.steps_of("bpc/train") == Steps{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(place.steps_of("bpc/valid") == Steps{4, 8, 12});
}

TEST_CASE("a run that had saved nothing begins anew") {
  const Place place;
  place.go(place.config(), -1, /*breaks_at=*/2);
  place.go(place.config(), 3);
  CHECK(place.files().size() == 1);
  CHECK(place.steps_of("bpc/train") == Steps{1, 2, 3});
}

TEST_CASE("a file that a crash cut short is mended when the run goes on") {
  const Place place;
  place.go(place.config(), 6);
  const fs::path file = place.files()[0];
  fs::resize_file(file, fs::file_size(file) - 5);  // within step 6
  place.go(place.config(), -1);
  CHECK(place.steps_of("bpc/train") == Steps{1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12});
}

TEST_CASE("a finished run writes nothing more") {
  const Place place;
  place.go(place.config(), -1);
  const auto before = place.files();
  place.go(place.config(), -1);
  CHECK(place.files() == before);
}

TEST_CASE("folders that are none, or another run's, are refused and left as they are") {
  const Place place;
  Output output;
  const TrainingConfig c = place.config();
  const auto refused = [&](const fs::path& folder, const TrainingConfig& config, const char* text) {
    CHECK_THROWS_WITH_AS(TensorBoardLog(output, folder, config), doctest::Contains(text), Error);
  };
  atomic_write(place.folder / "file", "x");
  refused(place.folder / "file", c, "expected --tensorboard with a folder to write to; got");
  refused(place.folder / "file" / "below", c, "is a file");
  place.go(c, 2);
  TrainingConfig other = c;
  other.run.checkpoint = (place.folder / "other" / "c.safetensors").string();
  refused(place.events, other, "of another one");
  CHECK(place.files().size() == 1);
  TensorBoardLog(output, place.folder / "not" / "there", c);
  CHECK_FALSE(fs::exists(place.folder / "not"));
}

TEST_CASE("after a full disk the run goes on, and no more is written") {
  const Place place;
  const TrainingConfig c = place.config();
  Output output;
  output.quiet = true;
  TensorBoardLog log(output, place.events, c);
  log.started({}, {{"step", 0}});
  StepReport report;
  report.mean_z = {{1}};
  const fs::path file = place.files()[0];
  const auto before = fs::file_size(file);
  {
    const FileSizeLimit limit(before + 10);
    report.step = 1;
    log.stepped(report, 1);
  }
  report.step = 2;
  log.stepped(report, 1);
  CHECK(fs::file_size(file) <= before + 10);
}

}  // namespace
}  // namespace adaspan
