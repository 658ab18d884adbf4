// SPDX-License-Identifier: MIT
#include "adaspan/train/run/memory_check.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "adaspan/core/buffer_pool.h"
#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/sha256.h"
#include "adaspan/models/span.h"
#include "adaspan/ops/process.h"
#include "adaspan/train/run/run.h"
#include "tests/support/child.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Contains;

constexpr double kMega = 1e6;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TrainingConfig small_config() {
  TrainingConfig c;
  c.model = {.vocabulary = 205,
             .layers = 4,
             .hidden = 128,
             .inner = 512,
             .heads = 4,
             .span_limit = 1024,
             .span_kind = SpanKind::adaptive,
             .adapt_cache = true,
             .dropout = 0};
  c.batch.sequences = 32;
  c.batch.block = 128;
  c.run.rounds = 1;
  c.run.steps_per_round = 100;
  return c;
}

MemoryState machine_with(double bytes) {
  return {.free = {{MemoryLimit::machine, static_cast<int64_t>(bytes)}}, .resident = 0};
}

double need_of(const TrainingConfig& c) {
  return training_need(c, starting_spans(c.model)).total();
}

/// The message of a refusal; empty if there was none.
std::string refusal(const TrainingConfig& c, const MemoryState& now) {
  try {
    require_run_memory(c, now);
  } catch (const OutOfMemory& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("a training that fits is let through, one that does not is refused with both numbers") {
  const TrainingConfig c = small_config();
  CHECK(refusal(c, machine_with(1.01 * need_of(c))) == "");
  const std::string text = refusal(c, machine_with(0.99 * need_of(c)));
  CHECK(has(text, "got a need of " + bytes_text(need_of(c))));
  CHECK(has(text, "the free memory of this machine"));
  CHECK(has(text, "; batch.split 2 would need"));
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("what the process has counts, and every limit does") {
  const TrainingConfig c = small_config();
  const auto need = static_cast<int64_t>(need_of(c));
  CHECK(refusal(c, {.free = {{MemoryLimit::machine, need / 2}}, .resident = need / 2 + 2}) == "");
  CHECK(refusal(c, {.free = {}, .resident = 0}) == "");
  const std::string text = refusal(
      c, {.free = {{MemoryLimit::machine, 10 * need}, {MemoryLimit::control_group, need / 2}},
          .resident = 0});
  CHECK(has(text, "what its control group leaves"));
}

TEST_CASE("what is proposed fits, and is the first that does") {
  TrainingConfig c = small_config();
  c.model.precision = DType::f32;
  const auto proposed = [&](double bytes, bool going_on = false) {
    return settings_that_fit(c, starting_spans(c.model), going_on, machine_with(bytes));
  };
  const auto split = proposed(0.6 * need_of(c));
  REQUIRE(split);
  CHECK(split->batch.split > 1);
  CHECK(split->batch.sequences == c.batch.sequences);
  CHECK(need_of(*split) < 0.6 * need_of(c));

  TrainingConfig most = c;
  most.batch.split = c.batch.sequences;
  most.batch.recompute = true;
  most.model.cache_precision = CachePrecision::bf16;
  if (bf16_obstacle().empty()) most.model.precision = DType::bf16;
  const auto batch = proposed(0.9 * need_of(most));
  REQUIRE(batch);
  CHECK(batch->batch.sequences < c.batch.sequences);
  CHECK(batch->batch.block == c.batch.block);
  CHECK_FALSE(proposed(0.95 * need_of(most), /*going_on=*/true));
  CHECK_FALSE(proposed(1 * kMega));
  CHECK(has(refusal(c, machine_with(30 * kMega)), "take a smaller model"));
}

TEST_CASE("before a smaller batch activations are made again, and then numbers are narrower") {
  TrainingConfig c = small_config();
  c.model.precision = DType::f32;
  c.batch.exact_split = true;  // no batch.split takes less
  const auto proposed_for_need_of = [&](const TrainingConfig& leaner) {
    REQUIRE(need_of(leaner) < 0.99 * need_of(c));
    const auto found = settings_that_fit(c, starting_spans(c.model), /*going_on=*/false,
                                         machine_with(1.001 * need_of(leaner)));
    REQUIRE(found);
    return changes_text(c, *found);
  };
  TrainingConfig leaner = c;
  leaner.batch.recompute = true;
  CHECK(proposed_for_need_of(leaner) == "batch.recompute");
  leaner.model.cache_precision = CachePrecision::bf16;
  CHECK(proposed_for_need_of(leaner) == "batch.recompute and model.cache_precision bf16");
}

TEST_CASE("full spans are a warning in one line, never a refusal") {
  const TrainingConfig c = small_config();
  const MemoryState now = machine_with(1.05 * need_of(c));
  const std::string note = require_run_memory(c, now);
  CHECK(has(note, "every span at its limit of 1024"));
  CHECK(note.find('\n') == std::string::npos);
  CHECK(require_run_memory(c, machine_with(1e12)) == "");
}

TEST_CASE("a run that goes on is judged by the spans that it has, and by what it can change") {
  const TemporaryFolder folder;
  TrainingConfig c = small_config();
  c.run.checkpoint = folder.path() / "c.safetensors";
  const ChildResult saved = in_child([&] {
    const TokenStream stream = random_stream(200000, c.model.vocabulary);
    Trainer trainer(c, c.model.vocabulary, stream, stream);
    for (Parameter* ratios : trainer.model().span_ratios()) {
      for (int64_t h = 0; h < c.model.heads; ++h) ratios->value().data()[h] = 0.5f;
    }
    save_checkpoint(c.run.checkpoint, trainer);
    return std::string("saved");
  });
  REQUIRE(saved.text == "saved");
  const MemoryState now = machine_with(1.05 * need_of(c));
  CHECK(has(refusal(c, now), "batch.split"));
  CHECK(has(refusal(c, machine_with(60 * kMega)),
            "neither batch.split nor batch.recompute makes it fit"));
  std::ofstream(c.run.checkpoint) << "damaged";
  CHECK(refusal(c, now) == "");
}

TEST_CASE("growing spans are noticed when they need more than there is, and more than before") {
  const TrainingConfig c = small_config();
  MemoryWatch watch(c);
  auto z = starting_spans(c.model);
  const MemoryState now = machine_with(1.05 * need_of(c));
  watch.look(z, now);
  z[0][0] = 900;
  z[1][0] = 900;
  CHECK_THROWS_WITH_AS(watch.look(z, now), Contains("go on with a larger batch.split"),
                       OutOfMemory);
  watch.look(starting_spans(c.model), machine_with(0));  // it has lived with that
}

/// Takes all that is left away after some steps.
class Miser : public RunObserver {
 public:
  explicit Miser(int64_t step) : step_(step) {}
  void stepped(const StepReport& report, double) override {
    if (report.step != step_) return;
    release_kept_buffers();
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages;
    limit_addresses(pages * static_cast<double>(sysconf(_SC_PAGESIZE)) + 40e6);
  }

 private:
  int64_t step_;
};

/// A run of 6 steps in the folder; the weights at its end.
std::string finish(const std::filesystem::path& folder, int64_t last_step) {
  TrainingConfig c = small_config();
  c.run.steps_per_round = 6;
  c.run.checkpoint = folder / "c.safetensors";
  const TokenStream stream = random_stream(32 * 1500, c.model.vocabulary);
  Trainer trainer(c, c.model.vocabulary, stream, stream);
  Miser observer(last_step);
  const std::atomic<bool> never = false;
  run(trainer, observer, never);
  std::string sum;
  for (const Tensor& w : weights(trainer)) {
    sum += sha256(std::as_bytes(w.values()));
  }
  return sum;
}

TEST_CASE("a run that memory fails saves what is done, and goes on to the same bits") {
  const TemporaryFolder whole, stopped;
  const ChildResult at_once = in_child([&] { return finish(whole.path(), 0); });
  REQUIRE_FALSE(at_once.threw);
  const ChildResult failed = in_child([&] { return finish(stopped.path(), 3); });
  CHECK(failed.threw);
  CAPTURE(failed.text);
  CHECK(has(failed.text, "all up to step 3 is saved"));
  const ChildResult went_on = in_child([&] { return finish(stopped.path(), 0); });
  CHECK(went_on.text == at_once.text);
}

/// Trains as `adaspan train` does, without a run's files.
std::string train(const TrainingConfig& c) {
  require_run_memory(c);
  const TokenStream stream =
      random_stream(c.batch.sequences * (6 * c.batch.block + 1), c.model.vocabulary);
  Trainer trainer(c, c.model.vocabulary, stream, stream);
  for (int i = 0; i < 2; ++i) trainer.step();
  trainer.validate();
  return "trained";
}

#if !defined(__SANITIZE_ADDRESS__)  // which takes terabytes of addresses for itself
TEST_CASE("under a limit of addresses the settings that are proposed really run") {
  open_process({.threads = 1});
  for (double limit : {800e6, 450e6}) {
    TrainingConfig c = small_config();
    c.model.precision = DType::f32;
    c.batch.sequences = 128;
    const ChildResult first = in_child([&] {
      limit_addresses(limit);
      const MemoryState now;
      const auto fits = settings_that_fit(c, starting_spans(c.model), false, now);
      require(fits.has_value(), "expected settings that fit");
      require(fits->batch.sequences != c.batch.sequences || fits->batch.split > 1,
              "expected other settings");
      return train(*fits);
    });
    CAPTURE(limit);
    CAPTURE(first.text);
    CHECK(first.text == "trained");
    const ChildResult refused = in_child([&] {
      limit_addresses(limit);
      return train(c);
    });
    CHECK(refused.threw);
    CHECK(has(refused.text, "ulimit -v"));
  }
}
#endif

}  // namespace
}  // namespace adaspan
