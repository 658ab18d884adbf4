// SPDX-License-Identifier: MIT
#include "adaspan/train/run/init_from.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/data/corpus.h"
#include "adaspan/train/run/checkpoint.h"
#include "adaspan/train/run/config_record.h"

namespace adaspan {
namespace {

/// Of each own token the source's id, or kNew.
using TokenMap = std::vector<int32_t>;
constexpr int32_t kNew = -1;

bool defines_shapes(const Field& field, const TrainingConfig& own, const TrainingConfig& source) {
  const bool clusters = own.model.adaptive_io.on || source.model.adaptive_io.on;
  const bool inner = own.model.persistent == 0 || source.model.persistent == 0;
  const std::string_view path = field.path;
  if (!clusters && path.starts_with("model.adaptive_io.")) return false;
  if (!inner && path == "model.inner") return false;
  constexpr std::array<std::string_view, 11> kPaths{"model.layers",
                                                    "model.hidden",
                                                    "model.inner",
                                                    "model.heads",
                                                    "model.persistent",
                                                    "model.adaptive_io.on",
                                                    "model.adaptive_io.tied",
                                                    "model.adaptive_io.divval",
                                                    "model.adaptive_io.cutoffs",
                                                    "model.span_kind.dynamic",
                                                    "model.span_kind.adaptive"};
  return std::ranges::find(kPaths, path) != kPaths.end();
}

void check_sizes(const TrainingConfig& own, const TrainingConfig& source) {
  const std::string& path = own.run.init_from;
  for (const FieldChange& change : changes(to_json(source), own)) {
    const bool of_optimizer =
        own.run.init_optimizer && std::string_view(change.field.path) == "optimizer.kind";
    require(!defines_shapes(change.field, own, source) && !of_optimizer,
            "[init] expected {} {} as in {}; got {}; begin with a checkpoint of this run's sizes{}",
            change.field.path, change.before, path, change.now,
            of_optimizer ? ", or leave run.init_optimizer out" : "");
  }
  const int64_t S = own.model.span_limit, theirs = source.model.span_limit;
  require(
      S >= theirs,
      "[init] expected model.span_limit of at least {} as in {}; got {}: what looks further back "
      "would be lost",
      theirs, path, S);
  require(
      S == theirs || own.model.span_kind != SpanKind::dynamic,
      "[init] expected model.span_limit {} as in {}; got {}: dynamic spans are learned as shares "
      "of it",
      theirs, path, S);
}

/// The vocabulary of a corpus in `folder`, if it is that of `identity`.
std::optional<Vocabulary> vocabulary_of(const DataIdentity& identity, const std::string& folder) {
  if (folder.empty() || !std::filesystem::is_regular_file(vocabulary_path(folder))) return {};
  Vocabulary vocabulary = Vocabulary::parse(read_text(vocabulary_path(folder)));
  if (vocabulary.hash() != identity.vocabulary_hash) return {};
  return vocabulary;
}

Vocabulary found_vocabulary(const DataIdentity& identity, const std::string& folder,
                            const std::string& whose) {
  std::optional<Vocabulary> vocabulary = vocabulary_of(identity, folder);
  require(vocabulary.has_value(),
          "[init] expected the vocabulary of {} ({} tokens, SHA-256 {}) in the corpus {}, to match "
          "tokens by their bytes; got none or another; put that corpus back",
          whose, identity.vocabulary, identity.vocabulary_hash.substr(0, 12),
          folder.empty() ? "that it was trained on, which it does not name" : folder);
  return std::move(*vocabulary);
}

/// Nothing where both have the same ids.
std::optional<TokenMap> token_map(const Trainer& trainer, const CheckpointHeader& source) {
  const DataIdentity &own = trainer.data(), &theirs = source.data;
  const std::string& path = trainer.config().run.init_from;
  if (own.vocabulary_hash.empty() || theirs.vocabulary_hash.empty()) {
    require(
        own.vocabulary == theirs.vocabulary,
        "[init] expected a vocabulary of {} tokens as in {}, whose tokens are not known; got {}",
        theirs.vocabulary, path, own.vocabulary);
    return {};
  }
  if (own.vocabulary_hash == theirs.vocabulary_hash) return {};
  const Vocabulary to = found_vocabulary(own, trainer.config().run.data, "this run");
  const Vocabulary from = found_vocabulary(theirs, source.config.run.data, path);
  TokenMap map(static_cast<size_t>(to.size()), kNew);
  for (int32_t id = 0; id < to.size(); ++id) {
    const Token token = to.token(id);
    // The end of a line and a newline byte have the same bytes; like goes with like first.
    std::optional<int32_t> same = token.end_of_line ? from.end_of_line() : from.find(token.bytes);
    if (!same) same = from.find(token.bytes);
    map[static_cast<size_t>(id)] = same.value_or(kNew);
  }
  require(std::ranges::any_of(map, [](int32_t id) { return id != kNew; }),
          "[init] expected tokens that {} and this run's corpus share; got none", path);
  return map;
}

/// Fits the source's tensors to those of this run.
class Fitting {
 public:
  Fitting(const SafetensorsFile& file, const TrainingConfig& own, const CheckpointHeader& source,
          const std::optional<TokenMap>& map)
      : file_(file),
        map_(map),
        V_(source.data.vocabulary),
        S_(own.model.span_limit),
        S_from_(source.config.model.span_limit) {}

  /// Overwrites in `to`, of parameter `parameter` or like it, all that tensor `name` of the file
  /// tells. Where `to` is of ratios z/S, values change with S to this power: -1 for the ratios.
  void fit(Tensor& to, const std::string& name, const std::string& parameter, int power) const {
    const Tensor from = file_.tensor(name);
    const bool rows = map_ && is_by_token(parameter), positions = parameter == "key_pe";
    check_shape(from, to, name, rows, positions);
    const float* const in = from.data();
    float* const out = to.data();
    if (rows) {
      const int64_t width = to.elements() / to.shape()[0];
      for (size_t id = 0; id < map_->size(); ++id) {
        const int32_t theirs = (*map_)[id];
        if (theirs != kNew) std::copy_n(in + theirs * width, width, out + id * width);
      }
    } else if (positions) {  // [1,D,S], the vector of distance S-j at j
      for (int64_t d = 0; d < to.shape()[1]; ++d) {
        std::copy_n(in + d * S_from_, S_from_, out + d * S_ + (S_ - S_from_));
      }
    } else {
      const double factor = is_ratio(parameter) ? std::pow(double(S_) / double(S_from_), power) : 1;
      for (int64_t i = 0; i < to.elements(); ++i) out[i] = static_cast<float>(in[i] * factor);
    }
  }

 private:
  static bool is_by_token(const std::string& parameter) {
    return parameter == "in_emb.weight" || parameter.starts_with("out_emb.");
  }
  static bool is_ratio(const std::string& parameter) {
    return parameter.ends_with("adaptive_span._mask.current_val");
  }

  void check_shape(const Tensor& from, const Tensor& to, const std::string& name, bool rows,
                   bool positions) const {
    std::vector<int64_t> extents(to.shape().extents().begin(), to.shape().extents().end());
    if (rows) extents[0] = V_;
    if (positions) extents[2] = S_from_;
    require(from.type() == DType::f32 && from.shape() == Shape(extents),
            "[init] expected {} of shape {} and type f32 in {}; got {} of type {}; the file is "
            "damaged",
            name, Shape(extents).text(), file_.path().string(), from.shape().text(),
            adaspan::name(from.type()));
  }

  const SafetensorsFile& file_;
  const std::optional<TokenMap>& map_;
  int64_t V_, S_, S_from_;
};

/// How the numbers of an optimizer's slot change with those of the gradient: sums of squares twice.
int power_of(const std::string& slot) {
  return slot == "sum" || slot == "square" ? 2 : 1;
}

std::string tokens_text(const std::optional<TokenMap>& map, int64_t V_from) {
  if (!map) return "all tokens are its own";
  const auto shared = static_cast<int64_t>(map->size()) - std::ranges::count(*map, kNew);
  return fmt::format("{} of {} tokens are its own, {} are new, {} of its {} are not used", shared,
                     map->size(), static_cast<int64_t>(map->size()) - shared,
                     std::max<int64_t>(0, V_from - shared), V_from);
}

}  // namespace

std::string initialise(Trainer& trainer) {
  const TrainingConfig& config = trainer.config();
  const SafetensorsFile file = open_checkpoint(config.run.init_from);
  const CheckpointHeader source = read_header(file);
  check_sizes(config, source.config);
  const std::optional<TokenMap> map = token_map(trainer, source);

  require(
      !map || !config.model.adaptive_io.on,
      "[init] expected the vocabulary of {}, since model.adaptive_io.on goes by the order of its "
      "tokens; got another; prepare the corpus with that vocabulary, or begin anew",
      config.run.init_from);

  const Fitting fitting(file, config, source, map);
  for (Parameter* p : trainer.model().parameters().all()) {
    fitting.fit(p->value(), p->name(), p->name(), /*power=*/-1);
    check_bounds(*p);
  }
  if (WeightAverage* average = trainer.average()) average->restart();
  Origin origin{.path = config.run.init_from, .sha256 = file.sha256()};
  if (config.run.init_optimizer) {
    for (const auto& [name, tensor] : trainer.optimizer().state()) {  // "optim.<slot>.<parameter>"
      const size_t slot = name.find('.') + 1, parameter = name.find('.', slot) + 1;
      fitting.fit(*tensor, name, name.substr(parameter),
                  power_of(name.substr(slot, parameter - 1 - slot)));
    }
    const auto& earlier = source.progress.origin;
    origin.optimizer_steps = source.progress.step - source.progress.guard.skips +
                             (earlier ? earlier->optimizer_steps : 0);
  }
  trainer.set_origin(origin);
  return fmt::format("begins with the weights{} of {} (step {}, SHA-256 {}): {}",
                     config.run.init_optimizer ? " and the optimizer's state" : "",
                     config.run.init_from, source.progress.step, origin.sha256.substr(0, 12),
                     tokens_text(map, source.data.vocabulary));
}

}  // namespace adaspan
