// SPDX-License-Identifier: MIT
// Everything that a run can be told, under the reference's own names. One list (for_each_setting)
// is what the command line, presets, the metrics file and checkpoints are all made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <adaspan/core/cpu.h>
#include <adaspan/models/model_config.h>
#include <adaspan/train/optim/optimizer.h>

namespace adaspan {

struct Settings {
  // the model
  int64_t nlayers = 8, hid_sz = 256, inner_hid_sz = 1024, nheads = 2, attn_span = 32;
  double dropout = 0.2, emb_dropout = 0;
  bool adapt_span = false, dynamic_span = false;
  double adapt_span_loss = 0;
  int64_t adapt_span_ramp = 32;
  double adapt_span_init = 0;
  bool adapt_span_cache = false, skip_missing = false;
  // the data
  std::string data, data_unit = "bpc";
  // the optimizer
  std::string optim = "sgd";
  double lr = 0.03, momentum = 0.9;
  int64_t lr_warmup = 0;
  double grad_clip = 0;
  // the run
  int64_t batch_sz = 64, batch_split = 1, block_sz = 256, nbatches = 1000, niter = 1000;
  bool exact_split = false;
  std::string checkpoint;
  int64_t keep_last = 2;
  bool full_eval_mode = false;
  int64_t seed = 1, threads = 0, log_steps = 10;
  std::string precision = "auto", isa = "auto";
};

/// What a setting has to do with the numbers of a run.
enum class Role {
  fixed,  ///< defines the model, the data or what the optimizer remembers: stays for a whole run
  changeable,  ///< shapes the steps to come: may change when a run goes on; checkpoints record it
  local        ///< no weight depends on it: checkpoints do not know it
};

/// Calls visit(name, member, help, role) for each setting; members are int64_t, double, bool or
/// string.
template <class SettingsOrConst, class Visit>
void for_each_setting(SettingsOrConst& s, const Visit& visit) {
  visit("nlayers", s.nlayers, "number of layers L", Role::fixed);
  visit("hid-sz", s.hid_sz, "hidden size H", Role::fixed);
  visit("inner-hid-sz", s.inner_hid_sz, "width of the feed-forward layer", Role::fixed);
  visit("nheads", s.nheads, "attention heads a layer, K; divides the hidden size", Role::fixed);
  visit("attn-span", s.attn_span, "span limit S: no head looks further back, in tokens",
        Role::fixed);
  visit("dropout", s.dropout, "dropout of attention weights and of the feed-forward layer",
        Role::changeable);
  visit("emb-dropout", s.emb_dropout, "dropout of embeddings and of the last layer's output",
        Role::changeable);
  visit("adapt-span", s.adapt_span, "learn one span a head (adaptive)", Role::fixed);
  visit("dynamic-span", s.dynamic_span, "learn one span a head and token (dynamic)", Role::fixed);
  visit("adapt-span-loss", s.adapt_span_loss, "lambda, the price of a step of span",
        Role::changeable);
  visit("adapt-span-ramp", s.adapt_span_ramp, "R, over how many tokens the mask falls to 0",
        Role::fixed);
  visit("adapt-span-init", s.adapt_span_init, "first span, as a share of the limit", Role::fixed);
  visit("adapt-span-cache", s.adapt_span_cache,
        "remember only as much as the (adaptive) spans need", Role::fixed);
  visit("skip-missing", s.skip_missing,
        "leave out steps before the start of a stream (the reference attends to zeros there)",
        Role::fixed);
  visit("data", s.data, "folder of a corpus made by 'adaspan prepare'", Role::changeable);
  visit("data-unit", s.data_unit, "how losses are shown: bpc (bits a character) or ppl",
        Role::changeable);
  visit("optim", s.optim, "sgd, adagrad or adam", Role::fixed);
  visit("lr", s.lr, "learning rate", Role::changeable);
  visit("momentum", s.momentum, "momentum of sgd", Role::changeable);
  visit("lr-warmup", s.lr_warmup, "steps over which the learning rate rises from 0",
        Role::changeable);
  visit("grad-clip", s.grad_clip, "largest gradient norm that counts in full; 0: no clipping",
        Role::changeable);
  visit("batch-sz", s.batch_sz, "sequences a batch, B", Role::fixed);
  visit("batch-split", s.batch_split, "parts that a batch is worked on in, one after another",
        Role::changeable);
  visit("exact-split", s.exact_split,
        "work on the same small groups of sequences whatever the --batch-split: the same bits",
        Role::changeable);
  visit("block-sz", s.block_sz, "tokens of a sequence a step, M", Role::fixed);
  visit("nbatches", s.nbatches, "steps between validations and checkpoints", Role::changeable);
  visit("niter", s.niter, "how many times nbatches steps to train", Role::changeable);
  visit("checkpoint", s.checkpoint,
        "file to save to, and to go on from if it is there, in a folder of its own for each run: "
        "metrics.jsonl and best.safetensors lie beside it",
        Role::local);
  visit("full-eval-mode", s.full_eval_mode, "only evaluate the checkpoint on valid and test",
        Role::local);
  visit("keep-last", s.keep_last,
        "newest checkpoints to keep; older ones are named after their step", Role::local);
  visit("seed", s.seed, "first number of all random streams", Role::fixed);
  visit("threads", s.threads, "threads to use; 0: one a core", Role::local);
  visit("log-steps", s.log_steps, "steps between lines of metrics.jsonl", Role::local);
  visit("precision", s.precision,
        "of activations: f32, bf16, or auto: bf16 where the processor computes in it", Role::fixed);
  visit("isa", s.isa, "instructions to use: plain, avx2, avx512, amx, or auto: the best there are",
        Role::changeable);
}

/// Sets one setting from text. Throws Error for an unknown name or a text of the wrong kind.
void assign(Settings& settings, std::string_view name, std::string_view text);

/// Sets what the TOML file gives, whose keys are names of settings. Throws Error as assign does,
/// and when the file cannot be read or parsed.
void apply_toml(Settings& settings, const std::filesystem::path& path);

/// The precision asked for; of "auto" the fastest that can run at the level in use. Throws Error
/// for another name.
DType precision_of(const Settings& settings);
/// The level of instructions asked for. Throws Error when it is none.
Isa isa_of(const Settings& settings);

/// The parts that a batch is worked on in: batch-split of them, or with exact-split as many as the
/// largest power of two up to 8 that divides the batch.
int64_t parts_of(const Settings& settings);

/// Throws Error when settings are out of range or do not fit each other.
void check(const Settings& settings);

/// All settings, by name.
nlohmann::ordered_json to_json(const Settings& settings);
/// Those that weights can depend on: all but the local ones, and but batch-split where exact-split
/// takes its effect away.
nlohmann::ordered_json recorded_json(const Settings& settings);

/// A setting that two runs do not share.
struct SettingChange {
  std::string name;
  Role role;
  std::string before, now;  ///< as JSON
};
/// The settings in `before`, which to_json or recorded_json wrote, that are otherwise in `now`.
std::vector<SettingChange> changes(const nlohmann::ordered_json& before, const Settings& now);
/// From what either of them wrote; settings that it lacks have their defaults. Throws Error when a
/// setting is unknown or of the wrong kind.
Settings settings_from_json(const nlohmann::ordered_json& json);

ModelConfig model_config(const Settings& settings, int64_t vocabulary);
OptimizerConfig optimizer_config(const Settings& settings);

/// A loss in nats, in the unit asked for: bpc = nats / ln 2, ppl = e^nats.
double in_unit(double nats, const std::string& unit);

}  // namespace adaspan
