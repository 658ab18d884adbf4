// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/checkpoint.h"
#include "app/report.h"

namespace adaspan {
namespace {

void print_tensors(const SafetensorsFile& file) {
  double elements = 0;
  for (const std::string& name : file.names()) {
    const std::vector<double> values = file.doubles(name);
    double sum = 0;
    for (double value : values) sum += value * value;
    const auto n = static_cast<double>(values.size());
    fmt::print("  {:<56} {:<16} rms {:<10.4g} {}\n", name, file.shape(name).text(),
               n > 0 ? std::sqrt(sum / n) : 0,
               file.has_checksums() ? file.checksum(name).substr(0, 16) : "");
    elements += n;
  }
  fmt::print("{} tensors, {:.0f} numbers{}\n", file.names().size(), elements,
             file.has_checksums() ? "; last column: the first 16 digits of each tensor's SHA-256, "
                                    "all of which fit"
                                  : "");
}

void print_checkpoint(const SafetensorsFile& file, const std::filesystem::path& path) {
  const LoadedModel loaded = load_model(path);
  const CheckpointHeader& header = loaded.header;
  const Settings& settings = header.settings;
  fmt::print("checkpoint after step {} of {}\n", header.progress.step,
             settings.niter * settings.nbatches);
  const auto print_loss = [&](const char* name, double loss) {
    if (!std::isfinite(loss)) return;
    fmt::print("{} {:.4f} {}\n", name, in_unit(loss, settings.data_unit), settings.data_unit);
  };
  print_loss("last step's loss", header.progress.losses.training);
  print_loss("last validation", header.progress.losses.validation);
  print_loss("best validation", header.progress.losses.best_validation);
  const auto shown = [](const std::string& hash) {
    return hash.empty() ? "unknown" : hash.substr(0, 12);
  };
  fmt::print("{} parameters, vocabulary of {} ({}), text {}\nsettings {}\n",
             loaded.model->parameters().elements(), header.vocabulary,
             shown(header.vocabulary_hash), shown(header.text_hash),
             recorded_json(settings).dump(2));

  std::vector<std::vector<float>> spans;
  for (const Parameter* ratios : loaded.model->span_ratios()) {
    auto& layer = spans.emplace_back();
    for (float ratio : ratios->value().values()) {
      layer.push_back(ratio * static_cast<float>(settings.attn_span));
    }
  }
  if (!spans.empty()) {
    fmt::print("how far each head looks back, in tokens:\n{}",
               span_table(spans, settings.adapt_span_ramp, settings.attn_span));
  }
  print_tensors(file);
}

void print_corpus(const std::filesystem::path& path) {
  const Corpus corpus = Corpus::open(path);
  fmt::print("corpus of format {}, {} kinds of token ({}), text {}\n", name(corpus.format()),
             corpus.vocabulary().size(), corpus.vocabulary_hash().substr(0, 12),
             corpus.text_hash().substr(0, 12));
  for (Part part : kParts) fmt::print("  {:<6} {} tokens\n", name(part), corpus.part(part).size());
}

}  // namespace

void print_contents(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return print_corpus(path);
  const SafetensorsFile file(path);
  if (file.has_checksums()) file.verify();
  if (file.metadata().contains("format")) return print_checkpoint(file, path);
  for (const auto& [key, value] : file.metadata()) fmt::print("{}: {}\n", key, value);
  print_tensors(file);
}

}  // namespace adaspan
