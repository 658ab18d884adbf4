// SPDX-License-Identifier: MIT
// A small corpus, and a folder for the run on it.
#pragma once

#include <string>
#include <vector>

#include <adaspan/core/file.h>
#include <adaspan/train/data/corpus.h>
#include <adaspan/train/data/prepare.h>
#include <adaspan/train/run/checkpoint.h>
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace adaspan {

/// 1000 letters a to g; another seed gives another text, `first` moves the letters on.
inline std::string letters(uint64_t seed, char first = 'a') {
  const TokenStream stream = random_stream(1000, 7, seed);
  std::vector<int32_t> ids(1000);
  stream.read(0, 1000, ids.data());
  std::string result;
  for (int32_t id : ids) result += static_cast<char>(first + id);
  return "abcdefg" + result;  // the order of first appearance
}

inline Corpus corpus_of(const std::filesystem::path& folder, const std::string& content) {
  std::filesystem::create_directories(folder);
  atomic_write(folder / "text", content);
  PrepareOptions options;
  options.format = TextFormat::enwik8;  // its vocabulary is that of the text
  options.input = folder / "text";
  options.out = folder / "corpus";
  options.split = {0.6, 0.2, 0.2};
  prepare_corpus(options);
  return Corpus::open(options.out);
}

/// Of a small run with dropout, in two parts, whose validation has a memory.
inline TrainingConfig run_config() {
  TrainingConfig s = tiny_config(SpanKind::adaptive);
  s.model.dropout = 0.2f;
  s.batch.split = 2;
  s.run.validation = ValidationMode::rolling;
  return s;
}

/// A corpus, and a place for a checkpoint.
struct RunPlace {
  explicit RunPlace(const std::string& text = letters(1))
      : corpus(corpus_of(folder.path(), text)) {}

  Trainer trainer(const TrainingConfig& s) const { return trainer(s, corpus.identity()); }
  /// On the same tokens, but for other data by name.
  Trainer trainer(const TrainingConfig& s, const DataIdentity& data) const {
    return {s, data, TokenStream::of(corpus, Part::train), TokenStream::of(corpus, Part::valid)};
  }
  /// Saves a run after 3 steps.
  void save() const {
    Trainer run = trainer(run_config());
    for (int i = 0; i < 3; ++i) run.step();
    save_checkpoint(path, run);
  }
  /// Loads it into a run of settings `s` on `data`.
  void load(const TrainingConfig& s, const Corpus& data) const {
    Trainer run = trainer(s, data.identity());
    load_checkpoint(path, run);
  }
  void load() const { load(run_config(), corpus); }

  TemporaryFolder folder;
  Corpus corpus;
  std::filesystem::path path = folder / "checkpoint.safetensors";
};

}  // namespace adaspan
