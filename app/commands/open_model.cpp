// SPDX-License-Identifier: MIT
#include "app/commands/open_model.h"

#include <fmt/core.h>

#include "adaspan/core/error.h"
#include "app/run_places.h"

namespace adaspan::cli {
namespace {

namespace fs = std::filesystem;

/// The corpus that was called `data` where its checkpoint was made: seen from a folder above that.
fs::path corpus_near(const fs::path& checkpoint, const fs::path& data) {
  const fs::path start = fs::absolute(checkpoint).lexically_normal().parent_path();
  for (fs::path folder = start;; folder = folder.parent_path()) {
    if (fs::exists(folder / data / "corpus.json")) return folder / data;
    if (folder == folder.parent_path()) return {};
  }
}

}  // namespace

fs::path choose_checkpoint(Output& output, const std::string& given) {
  const fs::path path = chosen_checkpoint(given);
  if (path != given) output.note(fmt::format("using {}", path.string()));
  return path;
}

LoadedModel open_model(Output& output, const fs::path& path, Weights weights) {
  LoadedModel loaded = load_model(path, weights);
  if (!loaded.note.empty()) output.note(loaded.note);
  if (weights == Weights::ema) {
    output.note(fmt::format("with weights averaged over {} updates",
                            with_commas(loaded.header.progress.averaged)));
  }
  return loaded;
}

Corpus open_corpus(const LoadedModel& loaded, const fs::path& path, const std::string& data) {
  const fs::path own = loaded.header.config.run.data;
  if (data.empty() && own.is_relative() && !own.empty() && !fs::exists(own)) {
    const fs::path near = corpus_near(path, own);
    fail(
        "[corpus] expected {}, the corpus of {}, in {}: it is named from the folder that 'train' "
        "was started in; got nothing there; give --data {}",
        own.string(), path.string(), fs::current_path().string(),
        near.empty() ? "DIR" : near.string());
  }
  return adaspan::open_corpus(loaded.header, data);
}

}  // namespace adaspan::cli
