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

Settings smallest_settings() {
  Settings s;
  s.nlayers = 1;
  s.hid_sz = 2;
  s.inner_hid_sz = 2;
  s.nheads = 1;
  s.attn_span = 4;
  s.adapt_span_ramp = 2;
  s.adapt_span = true;
  s.adapt_span_init = 0.5;
  s.batch_sz = 2;
  s.block_sz = 2;
  s.nbatches = 10;
  s.threads = 1;
  s.precision = "f32";
  s.isa = "plain";  // as every machine has it
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
  Trainer trainer = place.trainer(smallest_settings());
};

/// The model alone, as `adaspan generate` reads it, where it is no larger than a small file's.
void read_model(const SafetensorsFile& file) {
  const CheckpointHeader header = read_header(file);
  const ModelConfig config = model_config(header.settings, header.vocabulary);
  constexpr int64_t kLargest = 64;
  if (std::max({config.vocabulary, config.layers, config.hidden, config.inner, config.span_limit}) >
      kLargest) {
    return;
  }
  Transformer model(config, static_cast<uint64_t>(header.settings.seed));
  copy_weights(model, file);
}

}  // namespace

void read_input(std::string_view input) {
  static Run run;
  atomic_write(run.place.path, input);
  const SafetensorsFile file(run.place.path);
  allow_error([&] { file.verify(); });
  allow_error([&] { read_model(file); });
  restore(file, run.trainer, run.place.corpus);
  run.trainer.step();
  run.trainer.validate();
}

}  // namespace adaspan
