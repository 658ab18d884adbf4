// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/config_record.h"
#include "app/span_table.h"

namespace adaspan {
namespace {

std::string tensors_of(const SafetensorsFile& file) {
  std::string text;
  double elements = 0;
  for (const std::string& name : file.names()) {
    const std::vector<double> values = file.doubles(name);
    double sum = 0;
    for (double value : values) sum += value * value;
    const auto n = static_cast<double>(values.size());
    text += fmt::format("  {:<56} {:<16} rms {:<10.4g} {}\n", name, file.shape(name).text(),
                        n > 0 ? std::sqrt(sum / n) : 0,
                        file.has_checksums() ? file.checksum(name).substr(0, 16) : "");
    elements += n;
  }
  text += fmt::format("{} tensors, {:.0f} numbers{}\n", file.names().size(), elements,
                      file.has_checksums()
                          ? "; last column: the first 16 digits of each tensor's SHA-256, "
                            "all of which fit"
                          : "");
  return text;
}

/// The z of every head that has one for all tokens, from the parameters.
std::vector<std::vector<float>> spans_of(const Transformer& model) {
  std::vector<std::vector<float>> spans;
  for (const Parameter* ratios : model.span_ratios()) {
    auto& layer = spans.emplace_back();
    for (float ratio : ratios->value().values()) {
      layer.push_back(ratio * static_cast<float>(model.config().span_limit));
    }
  }
  return spans;
}

}  // namespace

std::string describe(const SafetensorsFile& file, const LoadedModel& loaded) {
  const CheckpointHeader& header = loaded.header;
  const TrainingConfig& config = header.config;
  std::string text =
      fmt::format("checkpoint after step {} of {}\n", header.progress.step, config.run.steps());
  const auto add_loss = [&](const char* title, double loss) {
    const DataUnit unit = config.run.data_unit;
    if (!std::isfinite(loss)) return;
    text += fmt::format("{} {:.4f} {}\n", title, in_unit(loss, unit), name(unit));
  };
  add_loss("last step's loss", header.progress.losses.training);
  add_loss("last validation", header.progress.losses.validation);
  add_loss("best validation", header.progress.losses.best_validation);
  const auto shown = [](const std::string& hash) {
    return hash.empty() ? "unknown" : hash.substr(0, 12);
  };
  nlohmann::ordered_json settings = recorded_json(config);
  settings["isa"] = header.isa;
  text += fmt::format("{} parameters, vocabulary of {} ({}), text {}\nsettings {}\n",
                      loaded.model->parameters().elements(), header.data.vocabulary,
                      shown(header.data.vocabulary_hash), shown(header.data.text_hash),
                      settings.dump(2));
  const auto spans = spans_of(*loaded.model);
  if (!spans.empty()) {
    text += fmt::format("how far each head looks back, in tokens:\n{}",
                        span_table(spans, config.model.ramp, config.model.span_limit));
  }
  return text + tensors_of(file);
}

std::string describe(const SafetensorsFile& file) {
  std::string text;
  for (const auto& [key, value] : file.metadata()) text += fmt::format("{}: {}\n", key, value);
  return text + tensors_of(file);
}

std::string describe(const Corpus& corpus) {
  std::string text =
      fmt::format("corpus of format {}, {} kinds of token ({}), text {}\n", name(corpus.format()),
                  corpus.vocabulary().size(), corpus.vocabulary_hash().substr(0, 12),
                  corpus.text_hash().substr(0, 12));
  for (Part part : kParts) {
    text += fmt::format("  {:<6} {} tokens\n", name(part), corpus.part(part).size());
  }
  return text;
}

}  // namespace adaspan
