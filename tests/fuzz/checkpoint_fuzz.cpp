// SPDX-License-Identifier: MIT
// A run that goes on from a checkpoint, read without its checksums: hardly any mutated file would
// get past those. The first seed is what save_checkpoint() writes of run() after 3 steps.
#include "adaspan/train/run/checkpoint.h"

#include <algorithm>

#include "adaspan/core/file.h"
#include "tests/fuzz/target.h"
#include "tests/support/run_place.h"

namespace adaspan {
namespace {

TrainingConfig smallest_config() {
  TrainingConfig s;
  s.model.layers = 1;
  s.model.hidden = 2;
  s.model.inner = 2;
  s.model.heads = 1;
  s.model.span_limit = 4;
  s.model.ramp = 2;
  s.model.span_kind = SpanKind::adaptive;
  s.model.span_init = 0.5f;
  s.batch.sequences = 2;
  s.batch.block = 2;
  s.run.steps_per_round = 10;
  s.model.precision = DType::f32;
  return s;
}

/// A run on a text of 3 letters.
struct Run {
  static std::string text() {
    std::string all;
    for (int i = 0; i < 50; ++i) all += "abcab";
    return all;
  }
  RunPlace place{text()};
  Trainer trainer = place.trainer(smallest_config());
};

/// The model alone, as `adaspan generate` reads it, where it is no larger than a small file's.
void read_model(const SafetensorsFile& file) {
  const CheckpointHeader header = read_header(file);
  const ModelConfig& config = header.config.model;
  constexpr int64_t kLargest = 64;
  if (std::max({config.vocabulary, config.layers, config.hidden, config.inner, config.span_limit}) >
      kLargest) {
    return;
  }
  Transformer model(config, static_cast<uint64_t>(header.config.run.seed));
  copy_weights(model, file);
}

}  // namespace

void read_input(std::string_view input) {
  static Run run;
  atomic_write(run.place.path, input);
  const SafetensorsFile file(run.place.path);
  allow_error([&] { file.verify(); });
  allow_error([&] { read_model(file); });
  restore(file, run.trainer);
  run.trainer.step();
  run.trainer.validate();
}

}  // namespace adaspan
