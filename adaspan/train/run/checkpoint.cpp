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
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFormat = "adaspan checkpoint 3";
constexpr const char* kOlderFormat = "adaspan checkpoint 2";

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

std::string format_of(const SafetensorsFile& file) {
  const auto found = file.metadata().find("format");
  return found == file.metadata().end() ? "" : found->second;
}

void check_format(const SafetensorsFile& file) {
  const std::string format = format_of(file);
  require(format == kFormat || format == kOlderFormat,
          "[checkpoint] expected a file of format \"{}\" at {}; got {}; another version of this "
          "program may have written it",
          kFormat, file.path().string(), format.empty() ? "none named" : "\"" + format + "\"");
}

/// Throws Error when a checkpoint's configuration is one that no run can have. Whether bf16 can run
/// on this machine is another question, asked of the one who would run it.
void check_recorded(TrainingConfig config) {
  config.model.precision = DType::f32;
  check(config);
}

void check_fixed(const TrainingConfig& now, const TrainingConfig& then, const std::string& path) {
  for (const FieldChange& change : changes(adaspan::to_json(then), now)) {
    require(change.field.role != Role::fixed,
            "[checkpoint] expected {} {} as in {}; got {}; give it as it was, or another "
            "run.checkpoint to start anew",
            change.field.path, change.before, path, change.now);
  }
}

Memory memory_of(const SafetensorsFile& file, const char* stream, const TrainingConfig& config) {
  const int64_t B = config.batch.sequences, H = config.model.hidden;
  const DType type = config.model.precision;
  Memory memory;
  for (size_t l = 0; l < static_cast<size_t>(config.model.layers); ++l) {
    const std::string name = memory_name(stream, l);
    Tensor layer = file.tensor(name);
    const Shape& shape = layer.shape();
    require(shape.rank() == 3 && shape[1] == B && shape[2] == H && layer.type() == type,
            "[checkpoint] expected {} of shape [C,{},{}] and type {}; got {} of type {}; the file "
            "is damaged",
            name, B, H, adaspan::name(type), shape.text(), adaspan::name(layer.type()));
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
                     {"settings", recorded_json(header.config).dump()},
                     {"isa", header.isa},
                     {"progress", state.dump()},
                     {"vocabulary_size", fmt::format("{}", header.data.vocabulary)},
                     {"vocabulary_sha256", header.data.vocabulary_hash},
                     {"text_sha256", header.data.text_hash}});
}

void save_checkpoint(const std::filesystem::path& path, Trainer& trainer) {
  write_checkpoint(path, {trainer.config(), trainer.data(), trainer.progress(), name(isa())},
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
  try {
    const ordered_json state = ordered_json::parse(file.metadata("progress"));
    const ordered_json settings = ordered_json::parse(file.metadata("settings"));
    const bool resumable = format_of(file) == kFormat;
    CheckpointHeader header{
        .config = config_from_json(settings),
        .data = {std::stoll(file.metadata("vocabulary_size")), file.metadata("vocabulary_sha256"),
                 file.metadata("text_sha256")},
        .progress = {},
        .isa = resumable ? file.metadata("isa") : settings.at("isa").get<std::string>(),
        .resumable = resumable};
    header.config.model.vocabulary = header.data.vocabulary;
    check_recorded(header.config);
    header.progress.step = whole_number(state, "step");
    header.progress.train = position_from(state.at("train"));
    header.progress.valid = position_from(state.at("valid"));
    header.progress.losses = losses_from(state.at("losses"));
    return header;
  } catch (const std::exception& e) {
    fail("[checkpoint] expected a whole header; got: {}; the file is damaged", e.what());
  }
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

void check_vocabulary(const CheckpointHeader& header, const DataIdentity& found) {
  const DataIdentity& own = header.data;
  if (own.vocabulary_hash.empty() || found.vocabulary_hash.empty()) {
    require(own.vocabulary == found.vocabulary,
            "[checkpoint] expected a vocabulary of {} tokens; got {}; give the run.data it was "
            "trained on",
            own.vocabulary, found.vocabulary);
    return;
  }
  require(
      own.vocabulary_hash == found.vocabulary_hash,
      "[checkpoint] expected the vocabulary that the model was trained with ({} tokens, SHA-256 "
      "{}); got another ({} tokens, {}); give the run.data it was trained on",
      own.vocabulary, own.vocabulary_hash.substr(0, 12), found.vocabulary,
      found.vocabulary_hash.substr(0, 12));
}

CheckpointHeader restore(const SafetensorsFile& file, Trainer& trainer) {
  CheckpointHeader header = read_header(file);
  const std::string path = file.path().string();
  require(header.resumable,
          "[checkpoint] expected a file of format \"{}\" to go on from at {}; got \"{}\", of a "
          "version that drew other random numbers: its run cannot go on with the same bits; "
          "give a run.checkpoint in another folder to start anew, or go on with the version that "
          "wrote it",
          kFormat, path, kOlderFormat);
  check_fixed(trainer.config(), header.config, path);
  check_vocabulary(header, trainer.data());
  const std::string &text = header.data.text_hash, &found = trainer.data().text_hash;
  require(text.empty() || found.empty() || text == found,
          "[checkpoint] expected the text that {} was trained on; got another of the same "
          "vocabulary; give the run.data it was trained on, or a run.checkpoint in another "
          "folder to start anew",
          path);

  copy_weights(trainer.model(), file);
  for (const auto& [name, tensor] : trainer.optimizer().state()) copy_tensor(*tensor, file, name);
  Trainer::Progress progress = header.progress;
  progress.memory = memory_of(file, "train", trainer.config());
  progress.valid_memory = memory_of(file, "valid", trainer.config());
  trainer.restore(std::move(progress));
  return header;
}

CheckpointHeader load_checkpoint(const std::filesystem::path& path, Trainer& trainer) {
  return restore(open_checkpoint(path), trainer);
}

}  // namespace adaspan
