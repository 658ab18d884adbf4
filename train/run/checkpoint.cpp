// SPDX-License-Identifier: MIT
#include "train/run/checkpoint.h"

#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>

#include "core/cpu.h"
#include "core/error.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "adaspan checkpoint 1";

ordered_json to_json(const BlockReader::Position& position) {
  return {{"column", position.column}, {"restarts", position.restarts}};
}

BlockReader::Position position_from(const ordered_json& json) {
  return {json.at("column").get<int64_t>(), json.at("restarts").get<int64_t>()};
}

std::string memory_name(size_t part, size_t layer) {
  return fmt::format("memory.train.{}.{}", part, layer);
}
std::string valid_memory_name(size_t layer) {
  return fmt::format("memory.valid.{}", layer);
}

/// Settings that cannot change within a run: they define the model, the blocks, or what the
/// optimizer remembers.
const std::set<std::string> kLasting = {
    "nlayers",      "hid-sz",     "inner-hid-sz",     "nheads",
    "attn-span",    "adapt-span", "dynamic-span",     "adapt-span-ramp",
    "skip-missing", "optim",      "batch-sz",         "batch-split",
    "block-sz",     "seed",       "adapt-span-cache", "precision"};

void check_lasting(const Settings& now, const Settings& then, const std::string& path) {
  const ordered_json a = adaspan::to_json(now), b = adaspan::to_json(then);
  for (const std::string& name : kLasting) {
    require(a[name] == b[name],
            "[checkpoint] expected --{} {} as in {}; got {}; give it as it was, or another "
            "--checkpoint to start anew",
            name, b[name].dump(), path, a[name].dump());
  }
}

Value memory_of(const SafetensorsFile& file, const std::string& name) {
  Tensor memory = file.tensor(name);
  require(memory.shape().rank() == 3 && memory.type() != DType::i32,
          "[checkpoint] expected {} of shape [C,B,H], f32 or bf16; got {} of type {}; the file is "
          "damaged",
          name, memory.shape().text(), adaspan::name(memory.type()));
  return share(std::move(memory));
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, Trainer& trainer, const Corpus& corpus) {
  const Trainer::Progress progress = trainer.progress();
  ordered_json state = {{"step", progress.step},
                        {"train", to_json(progress.train)},
                        {"valid", to_json(progress.valid)}};
  if (std::isfinite(progress.best_validation)) {
    state["best_validation"] = progress.best_validation;
  }

  std::vector<NamedTensor> tensors;
  for (Parameter* p : trainer.model().parameters().all())
    tensors.push_back({p->name(), &p->value()});
  for (const auto& [name, tensor] : trainer.optimizer().state()) tensors.push_back({name, tensor});
  std::deque<Tensor> memories;  // does not move what it holds
  for (size_t part = 0; part < progress.memory.size(); ++part) {
    for (size_t l = 0; l < progress.memory[part].size(); ++l) {
      memories.push_back(progress.memory[part][l].joined());
      tensors.push_back({memory_name(part, l), &memories.back()});
    }
  }
  for (size_t l = 0; l < progress.valid_memory.size(); ++l) {
    memories.push_back(progress.valid_memory[l].joined());
    tensors.push_back({valid_memory_name(l), &memories.back()});
  }
  make_folder_of(path);
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"settings", adaspan::to_json(trainer.settings()).dump()},
                     {"progress", state.dump()},
                     {"vocabulary_size", fmt::format("{}", corpus.vocabulary().size())},
                     {"vocabulary_sha256", corpus.vocabulary_hash()},
                     {"text_sha256", corpus.text_hash()}});
}

CheckpointHeader read_header(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  require(found != file.metadata().end() && found->second == kFormat,
          "[checkpoint] expected a file of format \"{}\"; got {}", kFormat,
          found == file.metadata().end() ? "none named" : "\"" + found->second + "\"");
  CheckpointHeader header;
  try {
    const ordered_json state = ordered_json::parse(file.metadata("progress"));
    header.settings = settings_from_json(ordered_json::parse(file.metadata("settings")));
    header.vocabulary = std::stoll(file.metadata("vocabulary_size"));
    header.vocabulary_hash = file.metadata("vocabulary_sha256");
    header.text_hash = file.metadata("text_sha256");
    header.progress.step = state.at("step").get<int64_t>();
    header.progress.train = position_from(state.at("train"));
    header.progress.valid = position_from(state.at("valid"));
    if (state.contains("best_validation")) {
      header.progress.best_validation = state["best_validation"].get<double>();
    }
  } catch (const std::exception& e) {
    fail("[checkpoint] expected a whole header; got: {}; the file is damaged", e.what());
  }
  return header;
}

void copy_tensor(Tensor& to, const SafetensorsFile& file, const std::string& name) {
  const Tensor from = file.tensor(name);
  require(
      from.shape() == to.shape() && from.type() == to.type(),
      "[checkpoint] expected {} of shape {} and type {}; got {} of type {}; is it of a model of "
      "another size?",
      name, to.shape().text(), adaspan::name(to.type()), from.shape().text(),
      adaspan::name(from.type()));
  std::memcpy(to.data(), from.data(), from.bytes());
}

Corpus open_corpus(const CheckpointHeader& header, const std::string& data) {
  Corpus corpus = Corpus::open(data.empty() ? header.settings.data : data);
  check_vocabulary(header, corpus);
  return corpus;
}

void check_vocabulary(const CheckpointHeader& header, const Corpus& corpus) {
  require(
      header.vocabulary_hash == corpus.vocabulary_hash(),
      "[checkpoint] expected the vocabulary that the model was trained with ({} tokens, SHA-256 "
      "{}); got another ({} tokens, {}); give the --data it was trained on",
      header.vocabulary, header.vocabulary_hash.substr(0, 12), corpus.vocabulary().size(),
      corpus.vocabulary_hash().substr(0, 12));
}

Settings load_checkpoint(const std::filesystem::path& path, Trainer& trainer,
                         const Corpus& corpus) {
  const SafetensorsFile file(path);
  CheckpointHeader header = read_header(file);
  check_lasting(trainer.settings(), header.settings, path.string());
  check_vocabulary(header, corpus);
  require(header.text_hash == corpus.text_hash(),
          "[checkpoint] expected the text that {} was trained on; got another of the same "
          "vocabulary; give the --data it was trained on, or another --checkpoint to start anew",
          path.string());

  for (Parameter* p : trainer.model().parameters().all()) copy_tensor(p->value(), file, p->name());
  for (const auto& [name, tensor] : trainer.optimizer().state()) copy_tensor(*tensor, file, name);
  const auto layers = static_cast<size_t>(header.settings.nlayers);
  for (int64_t part = 0; part < header.settings.batch_split; ++part) {
    Memory& memory = header.progress.memory.emplace_back();
    for (size_t l = 0; l < layers; ++l) {
      memory.emplace_back(memory_of(file, memory_name(static_cast<size_t>(part), l)));
    }
  }
  for (size_t l = 0; l < layers; ++l) {
    header.progress.valid_memory.emplace_back(memory_of(file, valid_memory_name(l)));
  }
  trainer.restore(std::move(header.progress));
  return header.settings;
}

LoadedModel load_model(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  LoadedModel loaded{read_header(file), nullptr, ""};
  const Settings& settings = loaded.header.settings;
  ModelConfig config = model_config(settings, loaded.header.vocabulary);
  if (config.precision == DType::bf16 && !bf16_obstacle().empty()) {
    config.precision = DType::f32;
    loaded.note = fmt::format("{} was trained in bf16; here it runs in f32, since {}",
                              path.string(), bf16_obstacle());
  }
  loaded.model = std::make_unique<Transformer>(config, static_cast<uint64_t>(settings.seed));
  for (Parameter* p : loaded.model->parameters().all()) copy_tensor(p->value(), file, p->name());
  return loaded;
}

}  // namespace adaspan
