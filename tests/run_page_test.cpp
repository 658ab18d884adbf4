// SPDX-License-Identifier: MIT
#include "app/page/run_page.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adaspan/core/error.h"
#include "adaspan/models/cost.h"
#include "adaspan/ops/span_mask.h"
#include "adaspan/train/run/config_record.h"
#include "app/page/fresh_page.h"
#include "app/page/numbers_csv.h"
#include "app/page/run_charts.h"
#include "tests/support/read_svg.h"

using namespace adaspan;
namespace fs = std::filesystem;

namespace {

constexpr size_t kLayers = 2, kHeads = 3;

double loss_of(int64_t step, int run) {
  return 4 / std::sqrt(static_cast<double>(step)) + 1 + run;
}
float span_of(int64_t step, size_t layer, size_t head) {
  return static_cast<float>(step) / 4 * static_cast<float>(layer * kHeads + head);
}

TrainingConfig config_of(int run) {
  TrainingConfig config;
  config.model.layers = kLayers;
  config.model.heads = kHeads;
  config.model.hidden = 12;
  config.model.inner = 24;
  config.model.span_limit = 500;
  config.model.ramp = 8;
  config.model.span_kind = SpanKind::adaptive;
  config.model.vocabulary = 50;
  config.schedule.learning_rate = run == 0 ? 0.01 : 0.02;
  return config;
}

/// A run's folder as `train` leaves it; with_clock: as it is since there is one.
fs::path made_run(const std::string& name, int run, int64_t steps, bool with_clock) {
  const fs::path folder = fs::temp_directory_path() / "adaspan_run_page_test" / name;
  fs::create_directories(folder);
  std::ofstream file(folder / "metrics.jsonl");
  file << nlohmann::ordered_json{{"configuration", to_json(config_of(run))},
                                 {"step", 0},
                                 {"data", {{"vocabulary", 50}}}}
       << "\n";
  for (int64_t step = 1; step <= steps; ++step) {
    if (step == 25) {  // it went on with other settings
      file << nlohmann::ordered_json{{"configuration", to_json(config_of(run))},
                                     {"step", 24},
                                     {"data", {{"vocabulary", 50}}}}
           << "\n";
    }
    nlohmann::ordered_json line = {{"step", step},
                                   {"loss", loss_of(step, run)},
                                   {"lr", 0.001 * static_cast<double>(step)},
                                   {"grad_norm", 1.0 / static_cast<double>(step)},
                                   {"span_mean", 10.0 + static_cast<double>(step)},
                                   {"span_max", 20.0 + static_cast<double>(step)}};
    if (with_clock) line["clipped"] = 0.25;
    for (size_t l = 0; l < kLayers; ++l) {
      for (size_t h = 0; h < kHeads; ++h) line["spans"][l][h] = span_of(step, l, h);
    }
    line["span_gradient_penalty"] = 0.5;
    if (with_clock) {
      line["clock"] = {{"tokens_per_s", 1000.0},
                       {"seconds", 36.0 * static_cast<double>(step)},
                       {"memory_mb", 77.0}};
    } else {
      line["chars_per_s"] = 900.0;
    }
    file << line << "\n";
    if (step % 10 == 0) {
      file << nlohmann::ordered_json{{"step", step},
                                     {"valid_loss", loss_of(step, run) + 0.1},
                                     {"best", true}}
           << "\n";
    }
  }
  file << "{\"step\": 1000, \"lo";  // cut short by a crash
  return folder;
}

const std::string& chart(const RunCharts& charts, const std::string& name) {
  for (const RunChart& one : charts.charts) {
    if (one.chart.name == name) return one.chart.svg;
  }
  FAIL("no chart " << name);
  return charts.charts.at(0).chart.svg;
}

/// Whether each point drawn lies within a fifth of a pixel of the value there.
template <class Value>
void check_line(const DrawnLine& line, size_t least, Value value) {
  CHECK(line.x.size() >= least);
  for (size_t i = 0; i < line.x.size(); ++i) {
    const auto step = std::llround(line.x[i]);
    CHECK(std::abs(line.x[i] - static_cast<double>(step)) <= 0.2 * line.pixel_x);
    const double expected = value(step);
    CHECK(std::abs(line.y[i] - expected) <= 0.2 * line.pixel_y + 0.003 * std::abs(expected));
  }
}

TEST_CASE("a run's records are read, and what older ones lack is missing") {
  const RunRecord now = read_run(made_run("now", 0, 50, true));
  REQUIRE(now.steps.size() == 50);
  REQUIRE(now.validations.size() == 5);
  CHECK(now.name == "now");
  CHECK(now.configuration.model.vocabulary == 50);
  CHECK(now.steps[9].step == 10);
  CHECK(now.steps[9].loss == doctest::Approx(loss_of(10, 0)));
  CHECK(now.steps[9].clipped == 0.25);
  CHECK(now.steps[9].seconds == 360);
  CHECK(now.steps[9].memory_mb == 77);
  CHECK(now.steps[9].tokens_per_s == 1000);
  CHECK(now.steps[9].spans.at(1).at(2) == span_of(10, 1, 2));
  CHECK(now.validations[4].loss == doctest::Approx(loss_of(50, 0) + 0.1));
  CHECK(now.validations[4].best);
  const RunRecord old = read_run(made_run("old", 0, 50, false));
  CHECK(old.steps[9].tokens_per_s == 900);
  CHECK(std::isnan(old.steps[9].seconds));
  CHECK(std::isnan(old.steps[9].clipped));
  CHECK_THROWS_WITH_AS(
      read_run("nowhere"),
      doctest::Contains("[run] expected the folder of a run, with a metrics.jsonl"), Error);
}

TEST_CASE("numbers that no run writes are left out, or refused") {
  const fs::path folder = fs::temp_directory_path() / "adaspan_run_page_test" / "crafted";
  fs::create_directories(folder);
  const auto read = [&](const std::string& configuration, const std::string& lines) {
    std::ofstream(folder / "metrics.jsonl") << configuration << "\n" << lines;
    return read_run(folder);
  };
  const std::string settings = "{\"configuration\":" + to_json(config_of(0)).dump();
  const RunRecord run =
      read(settings + ",\"step\":0,\"data\":{\"vocabulary\":\"x\"}}",
           "{\"step\":1e300,\"loss\":1}\n{\"step\":-1,\"loss\":1}\n{\"step\":2,\"loss\":1}\n");
  REQUIRE(run.steps.size() == 1);
  CHECK(run.steps[0].step == 2);
  CHECK(read(settings + ",\"data\":[]}", "").steps.empty());
  CHECK_THROWS_AS(read(std::string(1'000'000, '['), ""), Error);
}

TEST_CASE("a file that is no run's metrics is refused") {
  const fs::path folder = fs::temp_directory_path() / "adaspan_run_page_test" / "other";
  fs::create_directories(folder);
  std::ofstream(folder / "metrics.jsonl") << "{\"step\":1}\n";
  CHECK_THROWS_WITH_AS(read_run(folder), doctest::Contains("expected a configuration"), Error);
  std::ofstream(folder / "metrics.jsonl") << "";
  CHECK_THROWS_WITH_AS(read_run(folder), doctest::Contains("got an empty file"), Error);
}

TEST_CASE("every chart has the numbers of the records") {
  const RunRecord run = read_run(made_run("now", 0, 50, true));
  const RunCharts charts = charts_of({run});
  CHECK(charts.missing.empty());
  const auto bpc = [](double nats) { return nats / std::log(2.0); };
  const auto loss = lines_in(chart(charts, "loss-over-steps"));
  REQUIRE(loss.size() == 2);
  check_line(loss[0], 50, [&](int64_t step) { return bpc(loss_of(step, 0)); });
  check_line(loss[1], 5, [&](int64_t step) { return bpc(loss_of(step, 0) + 0.1); });
  const auto hours = lines_in(chart(charts, "loss-over-hours"));
  REQUIRE(hours.size() == 1);  // validations of this run have no clock
  CHECK(hours[0].x.back() == doctest::Approx(0.5).epsilon(0.01));
  const auto only = [&](const char* name) { return lines_in(chart(charts, name)).at(0); };
  const auto as_double = [](int64_t step) { return static_cast<double>(step); };
  check_line(only("mean-span"), 50, [&](int64_t s) { return 10 + as_double(s); });
  check_line(only("largest-span"), 50, [&](int64_t s) { return 20 + as_double(s); });
  check_line(only("learning-rate"), 50, [&](int64_t s) { return 0.001 * as_double(s); });
  check_line(only("gradient-norm"), 50, [&](int64_t s) { return 1 / as_double(s); });
  check_line(only("clipped"), 50, [](int64_t) { return 25.0; });
  check_line(only("speed"), 50, [](int64_t) { return 1000.0; });
  check_line(only("memory"), 50, [](int64_t) { return 77.0; });
  const auto cost = lines_in(chart(charts, "flops-per-token"));
  REQUIRE(cost.size() == 2);
  const ModelConfig& model = run.configuration.model;
  check_line(cost[0], 50,
             [&](int64_t s) { return flops_per_token(model, 10 + as_double(s)) / 1e6; });
  check_line(cost[1], 2, [&](int64_t) { return flops_per_token(model, 500) / 1e6; });

  const auto heads = attributes_of(chart(charts, "heads"), "data-value");
  REQUIRE(heads.size() == kLayers * kHeads);
  const auto history = attributes_of(chart(charts, "span-history"), "data-values");
  REQUIRE(history.size() == kLayers * kHeads);
  for (size_t n = 0; n < heads.size(); ++n) {
    const auto reach = [&](int64_t step) {
      return static_cast<double>(span_reach(span_of(step, n / kHeads, n % kHeads), 8, 500));
    };
    CHECK(std::stod(heads[n]) == reach(50));
    const auto row = numbers_in(history[n]);
    REQUIRE(row.size() == 50);
    for (int64_t step = 1; step <= 50; ++step) {
      CHECK(row[static_cast<size_t>(step - 1)] == doctest::Approx(reach(step)).epsilon(5e-3));
    }
  }
}

TEST_CASE("runs are laid over each other, and what differs is marked") {
  const std::vector<RunRecord> runs = {read_run(made_run("now", 0, 50, true)),
                                       read_run(made_run("other", 1, 30, true))};
  const auto loss = lines_in(chart(charts_of(runs), "loss-over-steps"));
  REQUIRE(loss.size() == 4);
  CHECK(loss[3].name == "other");
  CHECK(loss[3].x.back() == doctest::Approx(30).epsilon(0.01));
  const std::string page = page_of(runs);
  CHECK(page.find("<mark>0.02</mark>") != std::string::npos);
  CHECK(page.find("<th scope=\"col\">lr</th>") != std::string::npos);
  CHECK(page.find("<th scope=\"col\">nlayers</th>") == std::string::npos);
  CHECK(page.find("http://") == page.find("http://www.w3.org/2000/svg"));
  CHECK(page.find("https://") == std::string::npos);
  CHECK(page.find("http-equiv") == std::string::npos);
  const std::string csv = csv_of(runs);
  CHECK(csv.find("other,validation,30,") != std::string::npos);
  size_t commas = 0;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    const auto here = static_cast<size_t>(std::count(line.begin(), line.end(), ','));
    if (commas == 0) commas = here;
    CHECK(here == commas);
  }
}

TEST_CASE("a page says what is not there, and that it will be written again") {
  const RunRecord run = read_run(made_run("<old>", 0, 50, false));
  const std::string page = page_of({run}, {.without_test = "No <corpus>.", .refresh_s = 7});
  CHECK(page.find("Memory: not recorded.") != std::string::npos);
  CHECK(page.find("No &lt;corpus&gt;.") != std::string::npos);
  CHECK(page.find("data-refresh=\"7\"") != std::string::npos);
  CHECK(page.find("<old>") == std::string::npos);
  PageOptions options;
  options.test = TestSection{"about", {{"adaspan", 1.25}, {"xz -9", std::nullopt}}, "bpc", "a < b"};
  const std::string tested = page_of({run}, options);
  CHECK(tested.find("<td>1.250</td>") != std::string::npos);
  CHECK(tested.find("<td>not installed</td>") != std::string::npos);
  CHECK(tested.find("<pre>a &lt; b</pre>") != std::string::npos);
}

TEST_CASE("the page of a run that trains is written when it is due, and ends with the run") {
  const fs::path folder = made_run("fresh", 0, 20, true);
  const fs::path file = folder / "report.html";
  fs::remove(file);
  const auto refreshes = [&] {
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return text.find("data-refresh=\"") != std::string::npos;
  };
  Output output;
  output.quiet = true;
  FreshPage page(output, folder, 5);
  StepReport report;
  report.step = 4;
  page.stepped(report, 0);
  CHECK_FALSE(fs::exists(file));
  report.step = 5;
  page.stepped(report, 0);
  REQUIRE(fs::exists(file));
  CHECK(refreshes());
  fs::remove(file);
  report.step = 10;  // so soon after the last one that it would take too large a share
  page.stepped(report, 0);
  CHECK_FALSE(fs::exists(file));
  page.finish();
  REQUIRE(fs::exists(file));
  CHECK_FALSE(refreshes());
  FreshPage nowhere(output, folder / "none", 5);
  CHECK_NOTHROW(nowhere.stepped(report, 0));
}

}  // namespace
