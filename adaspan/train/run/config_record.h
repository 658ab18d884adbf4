// SPDX-License-Identifier: MIT
// How a configuration is written down, in checkpoints and beside them: one table (for_each_field)
// has the name of each field in records, which are those of the paper's program, its path in code,
// by which errors name it, and its role.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// What a field has to do with the numbers of a run.
enum class Role {
  fixed,  ///< defines the model, the data or what the optimizer remembers: stays for a whole run
  changeable,  ///< shapes the steps to come: may change when a run goes on; checkpoints record it
  local        ///< no weight depends on it: checkpoints do not know it
};

struct Field {
  const char* name;
  const char* path;
  Role role;
};

/// Records keep the kind of span as two truth values; where both are true, dynamic holds.
template <class KindOrConst>
struct SpanFlag {
  KindOrConst& kind;
  SpanKind of;
};
template <class KindOrConst>
SpanFlag(KindOrConst&, SpanKind) -> SpanFlag<KindOrConst>;

/// Calls visit(field, value) for each field; values are int64_t, double, float, bool, string, an
/// enum, a list of int64_t (in records a text, "20000,40000"), Stages, or a SpanFlag.
template <class ConfigOrConst, class Visit>
void for_each_field(ConfigOrConst& c, const Visit& visit) {
  using enum Role;
  auto& [model, optimizer, schedule, batch, run] = c;
  visit(Field{"nlayers", "model.layers", fixed}, model.layers);
  visit(Field{"hid-sz", "model.hidden", fixed}, model.hidden);
  visit(Field{"inner-hid-sz", "model.inner", fixed}, model.inner);
  visit(Field{"nheads", "model.heads", fixed}, model.heads);
  visit(Field{"pers-mem-size", "model.persistent", fixed}, model.persistent);
  visit(Field{"adapt-io", "model.adaptive_io.on", fixed}, model.adaptive_io.on);
  visit(Field{"adapt-io-tied", "model.adaptive_io.tied", fixed}, model.adaptive_io.tied);
  visit(Field{"adapt-io-divval", "model.adaptive_io.divval", fixed}, model.adaptive_io.divval);
  visit(Field{"adapt-io-cutoffs", "model.adaptive_io.cutoffs", fixed}, model.adaptive_io.cutoffs);
  visit(Field{"attn-span", "model.span_limit", fixed}, model.span_limit);
  visit(Field{"dropout", "model.dropout", changeable}, model.dropout);
  visit(Field{"emb-dropout", "model.embedding_dropout", changeable}, model.embedding_dropout);
  visit(Field{"dynamic-span", "model.span_kind.dynamic", fixed},
        SpanFlag{model.span_kind, SpanKind::dynamic});
  visit(Field{"adapt-span", "model.span_kind.adaptive", fixed},
        SpanFlag{model.span_kind, SpanKind::adaptive});
  visit(Field{"adapt-span-loss", "model.span_loss", changeable}, model.span_loss);
  visit(Field{"adapt-span-ramp", "model.ramp", fixed}, model.ramp);
  visit(Field{"adapt-span-init", "model.span_init", fixed}, model.span_init);
  visit(Field{"adapt-span-cache", "model.adapt_cache", fixed}, model.adapt_cache);
  visit(Field{"skip-missing", "model.skip_missing", fixed}, model.skip_missing);
  visit(Field{"data", "run.data", changeable}, run.data);
  visit(Field{"data-unit", "run.data_unit", changeable}, run.data_unit);
  visit(Field{"optim", "optimizer.kind", fixed}, optimizer.kind);
  visit(Field{"lr", "schedule.learning_rate", changeable}, schedule.learning_rate);
  visit(Field{"momentum", "optimizer.momentum", changeable}, optimizer.momentum);
  visit(Field{"lr-warmup", "schedule.warmup", changeable}, schedule.warmup);
  visit(Field{"lr-schedule", "schedule.shape", changeable}, schedule.shape);
  visit(Field{"lr-min-factor", "schedule.least_share", changeable}, schedule.least_share);
  visit(Field{"stages", "schedule.stages", changeable}, schedule.stages);
  visit(Field{"grad-clip", "optimizer.grad_clip", changeable}, optimizer.grad_clip);
  visit(Field{"ema", "optimizer.average", changeable}, optimizer.average);
  visit(Field{"on-divergence", "run.divergence.action", changeable}, run.divergence.action);
  visit(Field{"max-skips", "run.divergence.most_skips", changeable}, run.divergence.most_skips);
  visit(Field{"divergence-factor", "run.divergence.factor", changeable}, run.divergence.factor);
  visit(Field{"batch-sz", "batch.sequences", fixed}, batch.sequences);
  visit(Field{"batch-split", "batch.split", changeable}, batch.split);
  visit(Field{"exact-split", "batch.exact_split", changeable}, batch.exact_split);
  visit(Field{"recompute", "batch.recompute", local}, batch.recompute);
  visit(Field{"block-sz", "batch.block", fixed}, batch.block);
  visit(Field{"nbatches", "run.steps_per_round", changeable}, run.steps_per_round);
  visit(Field{"niter", "run.rounds", changeable}, run.rounds);
  visit(Field{"steps", "run.total_steps", changeable}, run.total_steps);
  visit(Field{"patience", "run.patience", changeable}, run.patience);
  visit(Field{"validation", "run.validation", changeable}, run.validation);
  // A checkpoint keeps their outcome, and the hash of the file in their place.
  visit(Field{"init-from", "run.init_from", local}, run.init_from);
  visit(Field{"init-optimizer", "run.init_optimizer", local}, run.init_optimizer);
  visit(Field{"checkpoint", "run.checkpoint", local}, run.checkpoint);
  visit(Field{"keep-last", "run.keep_last", local}, run.keep_last);
  visit(Field{"seed", "run.seed", fixed}, run.seed);
  visit(Field{"log-steps", "run.log_steps", local}, run.log_steps);
  visit(Field{"precision", "model.precision", fixed}, model.precision);
  visit(Field{"cache-precision", "model.cache_precision", fixed}, model.cache_precision);
}

/// Throws Error, naming the field, for a value that no record can hold: an infinite number, an enum
/// without a name, a text that is not UTF-8.
void check_recordable(const TrainingConfig& config);

/// All fields, in the table's order.
std::vector<Field> fields();

/// Sets the field of this name from text. Throws Error for an unknown name, and, naming the field
/// by its path, for a text of the wrong kind.
void assign(TrainingConfig& config, std::string_view name, std::string_view text);

/// All fields, by name.
nlohmann::ordered_json to_json(const TrainingConfig& config);
/// Those that weights can depend on: all but the local ones, and not batch.split where exact_split
/// takes its effect away.
nlohmann::ordered_json recorded_json(const TrainingConfig& config);
/// From what either of them wrote; fields that it lacks have their defaults, but validation, which
/// was rolling before there was a choice. Throws Error as assign does, but for names that only
/// records of earlier versions have. The caller checks the result.
TrainingConfig config_from_json(const nlohmann::ordered_json& json);

/// A field that two runs do not share.
struct FieldChange {
  Field field;
  std::string before, now;  ///< as JSON
};
/// Those fields in `before`, which to_json or recorded_json wrote, whose values differ in `now`.
std::vector<FieldChange> changes(const nlohmann::ordered_json& before, const TrainingConfig& now);

}  // namespace adaspan
