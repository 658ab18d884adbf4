// SPDX-License-Identifier: MIT
#include "app/inspect.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adaspan/train/run/config_record.h"
#include "app/adaptive_io_text.h"
#include "app/run_summary.h"
#include "app/span_health.h"
#include "app/span_table.h"
#include "app/token_cost.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

ordered_json tensors_of(const SafetensorsFile& file) {
  ordered_json tensors = ordered_json::array();
  for (const std::string& name : file.names()) {
    const std::vector<double> values = file.doubles(name);
    double sum = 0;
    for (double value : values) sum += value * value;
    const auto n = static_cast<double>(values.size());
    ordered_json& one = tensors.emplace_back();
    one = {{"name", name},
           {"shape", file.shape(name).text()},
           {"numbers", values.size()},
           {"rms", n > 0 ? std::sqrt(sum / n) : 0}};
    if (file.has_checksums()) one["sha256"] = file.checksum(name);
  }
  return tensors;
}

std::string text_of_tensors(const ordered_json& tensors) {
  std::string text;
  int64_t numbers = 0;
  bool checked = false;
  for (const ordered_json& one : tensors) {
    checked = one.contains("sha256");
    text += fmt::format("  {:<56} {:<16} rms {:<10.4g} {}\n", one["name"].get<std::string>(),
                        one["shape"].get<std::string>(), one["rms"].get<double>(),
                        checked ? one["sha256"].get<std::string>().substr(0, 16) : "");
    numbers += one["numbers"].get<int64_t>();
  }
  return text + fmt::format("{} tensors, {} numbers{}\n", tensors.size(), numbers,
                            checked
                                ? "; last column: the first 16 digits of each tensor's SHA-256, "
                                  "all of which fit"
                                : "");
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

/// The first digits of the hash at `key`.
std::string short_hash(const ordered_json& description, const char* key) {
  const auto hash = description[key].get<std::string>();
  return hash.empty() ? "unknown" : hash.substr(0, 12);
}

std::string text_of_checkpoint(const ordered_json& d) {
  std::string text = fmt::format("checkpoint after step {} of {}\n", d["step"].get<int64_t>(),
                                 d["steps"].get<int64_t>());
  if (d.contains("skips")) {
    text += fmt::format("{} steps skipped, which diverged\n", d["skips"].get<int64_t>());
  }
  if (d.contains("averaged_updates")) {
    text += fmt::format("weights averaged over {} updates (--weights ema)\n",
                        d["averaged_updates"].get<int64_t>());
  }
  if (d.contains("stage")) text += d["stage"].get<std::string>() + "\n";
  for (const auto& [title, loss] : d["losses"].items()) {
    text += fmt::format("{} {:.4f} {}\n", title, loss.get<double>(), d["unit"].get<std::string>());
  }
  const auto reading = d["reading"].get<std::string>();
  text += fmt::format("{} parameters, vocabulary of {} ({}), text {}{}\nsettings {}\n",
                      d["parameters"].get<int64_t>(), d["kinds"].get<int64_t>(),
                      short_hash(d, "vocabulary_sha256"), short_hash(d, "text_sha256"),
                      reading.empty() ? "" : " (" + reading + ")", d["settings"].dump(2));
  if (const auto clusters = d["adaptive_io"].get<std::string>(); !clusters.empty()) {
    text += fmt::format("adaptive io: {}\n", clusters);
  }
  if (d.contains("flops_per_token")) {
    text += text_of(TokenCost{.flops = d["flops_per_token"].get<double>(),
                              .mean_span = d["mean_span"].get<double>(),
                              .by_rank = d["words_by_rank"].get<bool>()}) +
            "\n";
  }
  if (!d["spans"].empty()) {
    text += fmt::format("how far each head looks back, in tokens:\n{}",
                        span_table(d["spans"].get<Reaches>()));
  }
  if (d.contains("span_doctor")) text += span_health_text(d["span_doctor"]);
  return text;
}

std::string text_of_corpus(const ordered_json& d) {
  std::string text =
      fmt::format("corpus of format {}, {} kinds of token ({}), newlines {}, ids {}, text {}\n",
                  d["format"].get<std::string>(), d["kinds"].get<int64_t>(),
                  short_hash(d, "vocabulary_sha256"), d["newline"] == "drop" ? "dropped" : "kept",
                  d["order"].get<std::string>(), short_hash(d, "text_sha256"));
  for (const auto& [part, tokens] : d["tokens"].items()) {
    text += fmt::format("  {:<6} {} tokens\n", part, tokens.get<int64_t>());
  }
  return text;
}

}  // namespace

ordered_json describe(const SafetensorsFile& file, const LoadedModel& loaded) {
  const CheckpointHeader& header = loaded.header;
  const TrainingConfig& config = header.config;
  const DataUnit unit = config.run.data_unit;
  ordered_json losses = ordered_json::object();
  const auto add_loss = [&](const char* title, double loss) {
    if (std::isfinite(loss)) losses[title] = in_unit(loss, unit);
  };
  add_loss("last step's loss", header.progress.losses.training);
  add_loss("last validation", header.progress.losses.validation);
  add_loss("best validation", header.progress.losses.best_validation);
  ordered_json settings = recorded_json(config);
  settings["isa"] = header.isa;
  ordered_json description = {
      {"kind", "checkpoint"},
      {"step", header.progress.step},
      {"steps", config.run.steps()},
      {"unit", name(unit)},
      {"losses", losses},
      {"parameters", loaded.model->parameters().elements()},
      {"kinds", header.data.vocabulary},
      {"vocabulary_sha256", header.data.vocabulary_hash},
      {"text_sha256", header.data.text_hash},
      {"adaptive_io", adaptive_io_text(config.model)},
      {"reading", header.data.reading},
      {"settings", settings},
      {"spans", reaches_of(spans_of(*loaded.model), config.model.ramp, config.model.span_limit)},
      {"tensors", tensors_of(file)}};
  if (config.model.span_kind != SpanKind::dynamic) {  // whose spans only a text shows
    const TokenCost cost = token_cost(config.model, loaded.model->spans());
    description["flops_per_token"] = cost.flops;
    description["mean_span"] = cost.mean_span;
    description["words_by_rank"] = cost.by_rank;
  }
  if (ordered_json health = span_health(loaded); !health.is_null()) {
    description["span_doctor"] = std::move(health);
  }
  if (const DivergenceGuard::State& guard = header.progress.guard; guard.skips > 0) {
    description["skips"] = guard.skips;
  }
  if (config.optimizer.average > 0) description["averaged_updates"] = header.progress.averaged;
  const std::string stage = stage_text(config, header.progress.step);
  if (!stage.empty()) description["stage"] = stage;
  return description;
}

ordered_json describe(const SafetensorsFile& file) {
  ordered_json metadata = ordered_json::object();
  for (const auto& [key, value] : file.metadata()) metadata[key] = value;
  return {{"kind", "safetensors"}, {"metadata", metadata}, {"tensors", tensors_of(file)}};
}

ordered_json describe(const Corpus& corpus) {
  ordered_json tokens;
  for (Part part : kParts) tokens[name(part)] = corpus.part(part).size();
  return {{"kind", "corpus"},
          {"format", name(corpus.format())},
          {"newline", name(corpus.reading().newline)},
          {"order", name(corpus.record().order)},
          {"kinds", corpus.vocabulary().size()},
          {"vocabulary_sha256", corpus.vocabulary_hash()},
          {"text_sha256", corpus.text_hash()},
          {"tokens", tokens}};
}

std::string description_text(const ordered_json& d) {
  const auto kind = d["kind"].get<std::string>();
  if (kind == "corpus") return text_of_corpus(d);
  std::string text;
  if (kind == "checkpoint") {
    text = text_of_checkpoint(d);
  } else {
    for (const auto& [key, value] : d["metadata"].items()) {
      text += fmt::format("{}: {}\n", key, value.get<std::string>());
    }
  }
  return text + text_of_tensors(d["tensors"]);
}

}  // namespace adaspan
