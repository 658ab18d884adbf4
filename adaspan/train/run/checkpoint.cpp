// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint.h"

#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/whole_number.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "adaspan checkpoint 2";

ordered_json to_json(const BlockReader::Position& position) {
  return {{"column", position.column}, {"restarts", position.restarts}};
}

BlockReader::Position position_from(const ordered_json& json) {
  return {whole_number(json, "column"), whole_number(json, "restarts")};
}

ordered_json to_json(const Losses& losses) {
  ordered_json json =
      ordered_json::object();  // without what is not known yet: JSON has no infinity
  const auto known = [&](const char* name, double loss) {
    if (std::isfinite(loss)) json[name] = loss;
  };
  known("training", losses.training);
  known("validation", losses.validation);
  known("best_validation", losses.best_validation);
  return json;
}

Losses losses_from(const ordered_json& json) {
  const Losses unknown;
  return {.training = json.value("training", unknown.training),
          .validation = json.value("validation", unknown.validation),
          .best_validation = json.value("best_validation", unknown.best_validation)};
}

std::string memory_name(const char* stream, size_t layer) {
  return fmt::format("memory.{}.{}", stream, layer);
}

void check_format(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  const std::string format = found == file.metadata().end() ? "" : found->second;
  require(format == kFormat,
          "[checkpoint] expected a file of format \"{}\" at {}; got {}; another version of this "
          "program may have written it",
          kFormat, file.path().string(), format.empty() ? "none named" : "\"" + format + "\"");
}

void check_fixed(const Settings& now, const Settings& then, const std::string& path) {
  for (const SettingChange& change : changes(adaspan::to_json(then), now)) {
    require(change.role != Role::fixed,
            "[checkpoint] expected --{} {} as in {}; got {}; give it as it was, or another "
            "--checkpoint to start anew",
            change.name, change.before, path, change.now);
  }
}

Memory memory_of(const SafetensorsFile& file, const char* stream, const Settings& settings) {
  Memory memory;
  for (size_t l = 0; l < static_cast<size_t>(settings.nlayers); ++l) {
    const std::string name = memory_name(stream, l);
    Tensor layer = file.tensor(name);
    const Shape& shape = layer.shape();
    require(shape.rank() == 3 && shape[1] == settings.batch_sz && shape[2] == settings.hid_sz &&
                adaspan::name(layer.type()) == settings.precision,
            "[checkpoint] expected {} of shape [C,{},{}] and type {}; got {} of type {}; the file "
            "is damaged",
            name, settings.batch_sz, settings.hid_sz, settings.precision, shape.text(),
            adaspan::name(layer.type()));
    memory.emplace_back(share(std::move(layer)));
  }
  return memory;
}

}  // namespace

std::vector<NamedTensor> state_of(Transformer& model, Optimizer& optimizer) {
  std::vector<NamedTensor> tensors;
  for (Parameter* p : model.parameters().all()) tensors.push_back({p->name(), &p->value()});
  for (const auto& [name, tensor] : optimizer.state()) tensors.push_back({name, tensor});
  return tensors;
}

void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      std::vector<NamedTensor> tensors) {
  const Trainer::Progress& progress = header.progress;
  const ordered_json state = {{"step", progress.step},
                              {"train", to_json(progress.train)},
                              {"valid", to_json(progress.valid)},
                              {"losses", to_json(progress.losses)}};
  std::deque<Tensor> joined;  // does not move what it holds
  const auto add = [&](const char* stream, const Memory& memory) {
    for (size_t l = 0; l < memory.size(); ++l) {
      joined.push_back(memory[l].joined());
      tensors.push_back({memory_name(stream, l), &joined.back()});
    }
  };
  add("train", progress.memory);
  add("valid", progress.valid_memory);
  make_folder_of(path);
  write_safetensors(path, tensors,
                    {{"format", kFormat},
                     {"settings", recorded_json(header.settings).dump()},
                     {"progress", state.dump()},
                     {"vocabulary_size", fmt::format("{}", header.vocabulary)},
                     {"vocabulary_sha256", header.vocabulary_hash},
                     {"text_sha256", header.text_hash}});
}

void save_checkpoint(const std::filesystem::path& path, Trainer& trainer, const Corpus& corpus) {
  write_checkpoint(path,
                   {trainer.settings(), corpus.vocabulary().size(), corpus.vocabulary_hash(),
                    corpus.text_hash(), trainer.progress()},
                   state_of(trainer.model(), trainer.optimizer()));
}

SafetensorsFile open_checkpoint(const std::filesystem::path& path) {
  SafetensorsFile file(path);
  // Whatever is damaged is called so before it is called another format.
  if (file.has_checksums()) file.verify();
  check_format(file);
  file.verify();
  return file;
}

CheckpointHeader read_header(const SafetensorsFile& file) {
  check_format(file);
  CheckpointHeader header;
  try {
    const ordered_json state = ordered_json::parse(file.metadata("progress"));
    header.settings = settings_from_json(ordered_json::parse(file.metadata("settings")));
    header.vocabulary = std::stoll(file.metadata("vocabulary_size"));
    header.vocabulary_hash = file.metadata("vocabulary_sha256");
    header.text_hash = file.metadata("text_sha256");
    header.progress.step = whole_number(state, "step");
    header.progress.train = position_from(state.at("train"));
    header.progress.valid = position_from(state.at("valid"));
    header.progress.losses = losses_from(state.at("losses"));
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

void copy_weights(Transformer& model, const SafetensorsFile& file) {
  for (Parameter* p : model.parameters().all()) {
    copy_tensor(p->value(), file, p->name());
    if (!p->bounds()) continue;
    const auto [low, high] = *p->bounds();
    for (float x : p->value().values()) {
      require(x >= low && x <= high,
              "[checkpoint] expected {} in [{}, {}]; got {}; the file is damaged", p->name(), low,
              high, x);
    }
  }
}

Corpus open_corpus(const CheckpointHeader& header, const std::string& data) {
  require(!data.empty() || !header.settings.data.empty(),
          "[checkpoint] expected --data with a corpus, which this checkpoint does not name; got "
          "none; make one with 'adaspan prepare'");
  Corpus corpus = Corpus::open(data.empty() ? header.settings.data : data);
  check_vocabulary(header, corpus);
  return corpus;
}

void check_vocabulary(const CheckpointHeader& header, const Corpus& corpus) {
  if (header.vocabulary_hash.empty()) {
    require(header.vocabulary == corpus.vocabulary().size(),
            "[checkpoint] expected a vocabulary of {} tokens; got {}; give the --data it was "
            "trained on",
            header.vocabulary, corpus.vocabulary().size());
    return;
  }
  require(
      header.vocabulary_hash == corpus.vocabulary_hash(),
      "[checkpoint] expected the vocabulary that the model was trained with ({} tokens, SHA-256 "
      "{}); got another ({} tokens, {}); give the --data it was trained on",
      header.vocabulary, header.vocabulary_hash.substr(0, 12), corpus.vocabulary().size(),
      corpus.vocabulary_hash().substr(0, 12));
}

Settings restore(const SafetensorsFile& file, Trainer& trainer, const Corpus& corpus) {
  CheckpointHeader header = read_header(file);
  check_fixed(trainer.settings(), header.settings, file.path().string());
  check_vocabulary(header, corpus);
  require(header.text_hash.empty() || header.text_hash == corpus.text_hash(),
          "[checkpoint] expected the text that {} was trained on; got another of the same "
          "vocabulary; give the --data it was trained on, or another --checkpoint to start anew",
          file.path().string());

  copy_weights(trainer.model(), file);
  for (const auto& [name, tensor] : trainer.optimizer().state()) copy_tensor(*tensor, file, name);
  header.progress.memory = memory_of(file, "train", trainer.settings());
  header.progress.valid_memory = memory_of(file, "valid", trainer.settings());
  trainer.restore(std::move(header.progress));
  return header.settings;
}

Settings load_checkpoint(const std::filesystem::path& path, Trainer& trainer,
                         const Corpus& corpus) {
  return restore(open_checkpoint(path), trainer, corpus);
}

LoadedModel load_model(const std::filesystem::path& path) {
  const SafetensorsFile file = open_checkpoint(path);
  LoadedModel loaded{read_header(file), nullptr, ""};
  const Settings& settings = loaded.header.settings;
  ModelConfig config = model_config(settings, loaded.header.vocabulary);
  if (config.precision == DType::bf16 && !bf16_obstacle().empty()) {
    config.precision = DType::f32;
    loaded.note = fmt::format("{} was trained in bf16; here it runs in f32, since {}",
                              path.string(), bf16_obstacle());
  }
  loaded.model = std::make_unique<Transformer>(config, static_cast<uint64_t>(settings.seed));
  copy_weights(*loaded.model, file);
  return loaded;
}

}  // namespace adaspan
