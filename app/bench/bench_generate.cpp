// SPDX-License-Identifier: MIT
#include "app/bench/bench_generate.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/models/decode/decoder.h"
#include "adaspan/ops/kernels/row_kernels.h"
#include "app/bench/bench_step.h"
#include "app/bench/given_spans.h"
#include "app/bench/profile_rows.h"
#include "app/bench/steady_training.h"
#include "app/bench/turns.h"

namespace adaspan {
namespace {

constexpr int64_t kVocabulary = 205;  // of enwik8
constexpr int64_t kMostTokens = 1'000'000;

/// A buffer, read by all threads.
class BufferReading {
 public:
  explicit BufferReading(double bytes)
      : buffer_(Tensor::zeros({std::max<int64_t>(1, static_cast<int64_t>(bytes / 4))})) {}

  /// Of one pass.
  double seconds() {
    constexpr int64_t kChunk = 1 << 14;
    return fastest([&] {
      parallel_chunks(buffer_.elements(), kChunk, [&](int64_t begin, int64_t end) {
        row_kernels().sum_of_squares(buffer_.data() + begin, end - begin);
      });
    });
  }

 private:
  Tensor buffer_;
};

/// The means of so many tokens.
nlohmann::ordered_json profile_of_token(const std::function<void()>& step, int64_t tokens) {
  start_profile();
  const double seconds = seconds_of([&] {
    for (int64_t i = 0; i < tokens; ++i) step();
  });
  std::vector<ProfileRow> rows = stop_profile();
  for (ProfileRow& row : rows) {
    row.calls /= tokens;
    row.loops /= tokens;
    row.buffers /= tokens;
    for (double* sum : {&row.seconds, &row.waiting, &row.flops, &row.bytes}) {
      *sum /= static_cast<double>(tokens);
    }
  }
  return profile_rows(std::move(rows), seconds / static_cast<double>(tokens));
}

}  // namespace

nlohmann::ordered_json bench_generate(ModelConfig c, const BenchGenerateOptions& options) {
  require(options.length >= 1 && options.length <= kMostTokens,
          "[bench] expected --length of 1 to {}; got {}", kMostTokens, options.length);
  require(options.texts >= 1 && options.texts <= 1024,
          "[bench] expected --samples of 1 to 1024; got {}", options.texts);
  require_settable_spans(c);
  const auto spans = span_pattern(options.spans, c);
  if (c.vocabulary == 0) c.vocabulary = kVocabulary;
  const DType storage = options.storage == "auto"   ? c.precision
                        : options.storage == "bf16" ? DType::bf16
                                                    : DType::f32;
  c.precision = DType::f32;  // of a prompt alone
  Transformer model(c, /*seed=*/1);
  set_spans(model, spans);
  Decoder decoder(model, {.texts = options.texts, .storage = storage});
  const DecoderTraffic traffic = decoder.traffic();
  BufferReading reading(traffic.total());

  int64_t done = 0;
  std::vector<int32_t> tokens(static_cast<size_t>(options.texts));
  const auto step = [&] {
    for (int32_t& token : tokens) token = static_cast<int32_t>(done++ % c.vocabulary);
    decoder.step(tokens);
  };
  for (int i = 0; i < 3; ++i) step();  // whose buffers are new
  Turns times, readings;
  const int64_t turns = std::min(options.length, kTurns);
  for (int64_t turn = 0; turn < turns; ++turn) {
    const int64_t count = options.length / turns;
    times.add(seconds_of([&] {
                for (int64_t i = 0; i < count; ++i) step();
              }) /
              static_cast<double>(count));
    readings.add(reading.seconds());
  }
  const double seconds = times.best();
  nlohmann::ordered_json result = {
      {"spans", options.spans},
      {"storage", name(storage)},
      {"texts", options.texts},
      {"seconds", seconds},
      {"spread", times.spread()},
      {"tokens_per_s", static_cast<double>(options.texts) / seconds},
      {"bytes", traffic.total()},
      {"weights", traffic.weights},
      {"keys_and_values", traffic.keys_and_values},
      {"positions", traffic.positions},
      {"read_gb_per_s", traffic.total() / readings.best() * 1e-9},
      {"share_of_reading", readings.best() / seconds},
      {"disturbed", disturbance(readings.spread(), "a token", times.spread())}};
  if (options.profile) result["profile"] = profile_of_token(step, options.length);
  return result;
}

}  // namespace adaspan
