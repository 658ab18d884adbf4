// SPDX-License-Identifier: MIT
// A program that trains with structs alone, on tokens that it made, has the weights that the
// program adaspan has after the same steps on the same text, to the bit; on whatever thread it
// trains.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "adaspan/core/file.h"
#include "adaspan/core/safetensors.h"
#include "adaspan/train/run/trainer.h"
#include "tests/support/gradient_check.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

constexpr int64_t kTokens = 4000, kLetters = 7, kVocabulary = 256, kSteps = 12;

/// Letter i of a text with something to learn in it. Its byte is its id.
int32_t id_of(int64_t i) {
  return static_cast<int32_t>('a' + (i * i / 3 + i / 11) % kLetters);
}

TokenStream tokens(int64_t begin, int64_t end, const char* name) {
  std::vector<int32_t> ids;
  for (int64_t i = begin; i < end; ++i) ids.push_back(id_of(i));
  return TokenStream::of(Tensor::of({end - begin}, std::span<const int32_t>(ids)), name);
}

TrainingConfig config() {
  TrainingConfig c;
  c.model = {.layers = 2,
             .hidden = 16,
             .inner = 32,
             .heads = 2,
             .span_limit = 24,
             .ramp = 4,
             .span_kind = SpanKind::adaptive,
             .span_init = 0.4f,
             .span_loss = 1e-3f,
             .adapt_cache = true,
             .dropout = 0.2f,
             .embedding_dropout = 0.1f};
  c.optimizer = {.kind = OptimizerKind::adagrad, .grad_clip = 0.1};
  c.schedule = {.learning_rate = 0.05, .warmup = 5};
  c.batch = {.sequences = 4, .block = 8, .split = 2};
  c.run.seed = 3;
  return c;
}
constexpr const char* kFlags =
    "--nlayers 2 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 24 --adapt-span-ramp 4 "
    "--adapt-span --adapt-span-init 0.4 --adapt-span-loss 1e-3 --adapt-span-cache --dropout 0.2 "
    "--emb-dropout 0.1 --optim adagrad --grad-clip 0.1 --lr 0.05 --lr-warmup 5 --batch-sz 4 "
    "--block-sz 8 --batch-split 2 --seed 3 --precision f32 --nbatches 12 --niter 1";

/// The weights that the program has after the same steps.
class ProgramRun {
 public:
  explicit ProgramRun(const std::string& flags) {
    std::string text;
    for (int64_t i = 0; i < kTokens; ++i) text += static_cast<char>(id_of(i));
    atomic_write(folder_ / "text", text);
    command("prepare --format bytes --input {0}/text --out {0}/data");
    command("train --data {0}/data --checkpoint {0}/run/c.safetensors " + flags);
  }
  SafetensorsFile checkpoint() const { return SafetensorsFile(folder_ / "run" / "c.safetensors"); }

 private:
  void command(const std::string& words) const {
    const std::string line = fmt::format("{} {} >/dev/null", ADASPAN_PROGRAM,
                                         fmt::format(fmt::runtime(words), folder_.path().string()));
    REQUIRE(std::system(line.c_str()) == 0);
  }

  TemporaryFolder folder_;
};

/// Names of parameters that differ after training with `c` in this process.
std::vector<std::string> differing(const TrainingConfig& c, const SafetensorsFile& theirs) {
  const int64_t train = kTokens * 9 / 10, valid = kTokens / 20;
  Trainer trainer(c, kVocabulary, tokens(0, train, "training"),
                  tokens(train, train + valid, "validation"));
  for (int64_t i = 0; i < kSteps; ++i) trainer.step();
  std::vector<std::string> names;
  for (const Parameter* p : trainer.model().parameters().all()) {
    if (!same_bits(p->value(), theirs.tensor(p->name()))) names.push_back(p->name());
  }
  return names;
}

void check_same(const TrainingConfig& c, const std::string& flags) {
  const ProgramRun run(flags);
  const SafetensorsFile theirs = run.checkpoint();
  const std::vector<std::string> none;
  CHECK(differing(c, theirs) == none);
  std::vector<std::string> elsewhere{"not trained"};
  std::thread second([&] { elsewhere = differing(c, theirs); });
  second.join();
  CHECK(elsewhere == none);
  TrainingConfig other = c;
  other.run.seed += 1;
  CHECK(differing(other, theirs) != none);
}

TEST_CASE("a trainer made of structs has the program's bits, on any thread") {
  check_same(config(), kFlags);
}

TEST_CASE("so has one whose updates are denormal numbers, which the program takes for zero") {
  TrainingConfig c = config();
  c.optimizer = {.kind = OptimizerKind::sgd, .momentum = 0};
  c.schedule = {.learning_rate = 1e-37};  // biases of layer norms begin at 0
  check_same(
      c, std::string(kFlags) + " --optim sgd --momentum 0 --grad-clip 0 --lr 1e-37 --lr-warmup 0");
}

}  // namespace
}  // namespace adaspan
