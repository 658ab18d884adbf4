// SPDX-License-Identifier: MIT
#include "adaspan/train/run/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// Throws Error unless a hash is that of the run, or one of them is not known.
void check_same(const char* what, const std::string& own, const std::string& found,
                const std::string& path) {
  require(
      own.empty() || found.empty() || own == found,
      "[checkpoint] expected the {} that {} was trained on (SHA-256 {}); got another ({}); give "
      "the run.data it was trained on, or begin a new run with these weights: run.init_from {} "
      "and a run.checkpoint in another folder",
      what, path, own.substr(0, 12), found.substr(0, 12), path);
}

void check_data(const DataIdentity& own, const DataIdentity& found, const std::string& path) {
  check_same("text", own.text_hash, found.text_hash, path);
  constexpr std::array kWhat{"training part", "valid part", "test part"};
  for (size_t i = 0; i < kWhat.size(); ++i) {
    check_same(kWhat[i], own.part_hashes[i], found.part_hashes[i], path);
  }
}

void check_fixed(const TrainingConfig& now, const TrainingConfig& then, const std::string& path) {
  for (const FieldChange& change : changes(adaspan::to_json(then), now)) {
    require(
        change.field.role != Role::fixed,
        "[checkpoint] expected {} {} as in {}; got {}; give it as it was, or a run.checkpoint in "
        "another folder to start anew",
        change.field.path, change.before, path, change.now);
  }
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  // A sum of zeros is nan if one of them is of an infinity or nan; unlike a search it has no exits.
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += 0 * to_float(x[i]);
  return sum == 0;
}

/// Whether all numbers are that `read` gives as bytes, in blocks, to the function that it is given.
template <class Read>
bool all_finite(DType type, const Read& read) {
  if (type == DType::i32) return true;
  bool finite = true;
  read([&](std::span<const std::byte> bytes) {
    finite = finite && with_type(type, [&]<class T>(T) {
               return all_finite(reinterpret_cast<const T*>(bytes.data()),
                                 static_cast<int64_t>(bytes.size() / sizeof(T)));
             });
  });
  return finite;
}

void check_finite(const SafetensorsFile& file) {
  const std::vector<std::string> names = file.names();
  std::vector<char> finite(names.size());
  parallel_for(static_cast<int64_t>(names.size()), [&](int64_t i) {
    const auto k = static_cast<size_t>(i);
    finite[k] = all_finite(file.type(names[k]),
                           [&](const auto& visit) { file.read_blocks(names[k], visit); });
  });
  const auto bad = std::ranges::find(finite, false);
  require(
      bad == finite.end(),
      "[checkpoint] expected finite numbers in {}; got others in {}; the run had diverged: take "
      "an older checkpoint",
      file.path().string(), names[static_cast<size_t>(bad - finite.begin())]);
}

/// Puts a layer's memory in the file into the trainer, a block at a time, so that what is held is
/// what the run held.
void restore_memory(const SafetensorsFile& file, Trainer& trainer, Trainer::MemoryOf text,
                    int64_t layer) {
  const TrainingConfig& config = trainer.config();
  const std::string name = memory_name(text, layer);
  const Shape& shape = file.shape(name);
  const DType type = config.model.cache_type();
  const int64_t B = config.batch.sequences, H = config.model.hidden, S = config.model.span_limit;
  require(shape.rank() == 3 && shape[0] <= S && shape[1] == B && shape[2] == H &&
              file.type(name) == type,
          "[checkpoint] expected {} of shape [C,{},{}], C at most {}, and type {}; got {} of type "
          "{}; the file is damaged",
          name, B, H, S, adaspan::name(type), shape.text(), adaspan::name(file.type(name)));

  std::vector<LayerMemory> parts;
  for (const LayerMemory& old : trainer.layer_memory(text, layer)) {
    parts.emplace_back(old.shape()[1], H, type);
  }
  const int64_t C = shape[0], M = config.batch.block;
  for (int64_t begin = 0, end = C % M; end <= C; begin = end, end += M) {
    if (begin < end) extend_side_by_side(parts, file.rows(name, begin, end));
  }
  trainer.set_layer_memory(text, layer, parts);
}

}  // namespace

std::vector<NamedTensor> state_of(Transformer& model, Optimizer& optimizer) {
  std::vector<NamedTensor> tensors;
  for (Parameter* p : model.parameters().all()) tensors.push_back({p->name(), &p->value()});
  for (const auto& [name, tensor] : optimizer.state()) tensors.push_back({name, tensor});
  return tensors;
}

std::string memory_name(Trainer::MemoryOf text, int64_t layer) {
  return fmt::format("memory.{}.{}", text == Trainer::MemoryOf::train ? "train" : "valid", layer);
}

NamedTensor memory_tensor(Trainer::MemoryOf text, int64_t layer, std::vector<LayerMemory> parts) {
  const Shape shape = side_by_side(parts);
  const DType type = parts[0].type();
  return {memory_name(text, layer), shape, type,
          [parts = std::move(parts)](const ByteSink& sink) { visit_bytes(parts, sink); }};
}

std::vector<NamedTensor> state_of(Trainer& trainer) {
  std::vector<NamedTensor> tensors = state_of(trainer.model(), trainer.optimizer());
  if (WeightAverage* average = trainer.average()) {
    for (const auto& [name, tensor] : average->state()) tensors.push_back({name, tensor});
  }
  return tensors;
}

void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& one : tensors) {
    require(all_finite(one.type, one.write),
            "[checkpoint] expected finite numbers to save at {}; got others in {}; the run has "
            "diverged; what was saved stays; try a smaller schedule.learning_rate, a longer "
            "schedule.warmup or optimizer.grad_clip",
            path.string(), one.name);
  }
  make_folder_of(path);
  write_safetensors(path, tensors, metadata_of(header));
}

double checkpoint_bytes(const TrainingConfig& c, const std::vector<std::vector<float>>& z) {
  const BlockSizes n{c.batch.sequences, c.batch.block, c.run.steps() * c.batch.block};
  const double weights = parameter_count(c.model) * sizeof(float);
  const double memories = c.run.validation == ValidationMode::rolling ? 2 : 1;
  const double averages = c.optimizer.average > 0 ? 1 : 0;
  return weights * (1.0 + averages + static_cast<double>(state_slots(c.optimizer.kind))) +
         memories * joined_memory(c.model, n, z);
}

void save_checkpoint(const std::filesystem::path& path, Trainer& trainer) {
  std::vector<NamedTensor> tensors = state_of(trainer);
  for (const auto text : {Trainer::MemoryOf::train, Trainer::MemoryOf::valid}) {
    if (!trainer.remembers(text)) continue;
    for (int64_t l = 0; l < trainer.config().model.layers; ++l) {
      tensors.push_back(memory_tensor(text, l, trainer.layer_memory(text, l)));
    }
  }
  write_checkpoint(path, {trainer.config(), trainer.data(), trainer.progress(), name(isa())},
                   tensors);
}

SafetensorsFile open_checkpoint(const std::filesystem::path& path) {
  SafetensorsFile file(path);
  // Whatever is damaged is called so before it is called another format.
  if (file.has_checksums()) file.verify();
  check_format(file);
  file.verify();
  check_finite(file);
  return file;
}

std::unique_ptr<Transformer> make_model(const ModelConfig& config, const SafetensorsFile& file) {
  return std::make_unique<Transformer>(
      config, /*seed=*/0, [&](const std::string& name, const Shape& shape) {
        require(file.shape(name) == shape,
                "[checkpoint] expected {} of shape {}; got {}; is it of a model of another size?",
                name, shape.text(), file.shape(name).text());
      });
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

void copy_weights(Transformer& model, const SafetensorsFile& file, Weights which) {
  for (Parameter* p : model.parameters().all()) {
    copy_tensor(p->value(), file, which == Weights::ema ? average_name(p->name()) : p->name());
    check_bounds(*p);
  }
}

void check_bounds(const Parameter& parameter) {
  if (!parameter.bounds()) return;
  const auto [low, high] = *parameter.bounds();
  for (float x : parameter.value().values()) {
    require(x >= low && x <= high,
            "[checkpoint] expected {} in [{}, {}]; got {}; the file is damaged", parameter.name(),
            low, high, x);
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
          kCheckpointFormat, path, kOlderCheckpointFormat);
  check_fixed(trainer.config(), header.config, path);
  check_vocabulary(header, trainer.data());
  check_data(header.data, trainer.data(), path);

  copy_weights(trainer.model(), file);
  for (const auto& [name, tensor] : trainer.optimizer().state()) copy_tensor(*tensor, file, name);
  trainer.restore(header.progress);
  const bool rolled = header.config.run.validation == ValidationMode::rolling;
  for (const auto text : {Trainer::MemoryOf::train, Trainer::MemoryOf::valid}) {
    // The memory of rolling validations is of no use to fixed ones, which have none.
    if (!trainer.remembers(text) || (text == Trainer::MemoryOf::valid && !rolled)) continue;
    for (int64_t l = 0; l < trainer.config().model.layers; ++l) {
      restore_memory(file, trainer, text, l);
    }
  }
  if (WeightAverage* average = trainer.average()) {
    if (header.config.optimizer.average > 0) {
      for (const auto& [name, tensor] : average->state()) copy_tensor(*tensor, file, name);
    } else {
      average->restart();
    }
  }
  if (!trainer.validates_as(header.config)) trainer.forget_best();
  return header;
}

CheckpointHeader load_checkpoint(const std::filesystem::path& path, Trainer& trainer) {
  return restore(open_checkpoint(path), trainer);
}

}  // namespace adaspan
