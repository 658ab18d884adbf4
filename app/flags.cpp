// SPDX-License-Identifier: MIT
// The flags of the program. Kinds and defaults are those of the fields that they set.
#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "adaspan/core/error.h"
#include "adaspan/train/run/config_record.h"
#include "app/settings.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

struct Help {
  const char* name;
  const char* group;
  const char* type;  ///< empty: that of its kind
  const char* text;
};

constexpr Help kHelp[] = {
    {"nlayers", "Model", "", "number of layers L"},
    {"hid-sz", "Model", "", "hidden size H"},
    {"inner-hid-sz", "Model", "", "width of the feed-forward layer"},
    {"nheads", "Model", "", "attention heads per layer, K; divides the hidden size"},
    {"pers-mem-size", "Model", "",
     "persistent vectors of a head, P, in the place of feed-forward layers; 0: none"},
    {"adapt-io", "Model", "",
     "adaptive input and output: rarer tokens have narrower vectors and a softmax of their own; "
     "for "
     "large vocabularies, sorted by falling frequency"},
    {"adapt-io-tied", "Model", "", "share vectors and projections between input and output"},
    {"adapt-io-divval", "Model", "", "how much narrower vectors get from cluster to cluster"},
    {"adapt-io-cutoffs", "Model", "N,N,...",
     "first id of each cluster but the first: rising, below the size of the vocabulary"},
    {"attn-span", "Model", "", "span limit S: no head looks further back, in tokens"},
    {"dropout", "Model", "", "dropout of attention weights and of the feed-forward layer"},
    {"emb-dropout", "Model", "", "dropout of embeddings and of the last layer's output"},
    {"adapt-span", "Model", "", "learn one span per head (adaptive)"},
    {"dynamic-span", "Model", "", "learn one span per head and token (dynamic)"},
    {"adapt-span-loss", "Model", "", "lambda, the price of a step of span"},
    {"adapt-span-ramp", "Model", "", "R, over how many tokens the mask falls to 0"},
    {"adapt-span-init", "Model", "", "first span, as a share of the limit"},
    {"adapt-span-cache", "Model", "", "remember only as much as the (adaptive) spans need"},
    {"skip-missing", "Model", "",
     "leave out steps before the start of a stream (the reference attends to zeros there)"},
    {"optim", "Optimizer", "sgd|adagrad|adam", "how gradients become updates"},
    {"lr", "Optimizer", "", "learning rate"},
    {"momentum", "Optimizer", "", "momentum of sgd"},
    {"lr-warmup", "Optimizer", "", "steps over which the learning rate rises from 0"},
    {"stages", "Optimizer", "STAGES",
     "stages that the run goes through, each at a factor of --lr, as [[stage]] in a file: lengths "
     "in updates, or with an r in rounds of nbatches, as 150r@1,20r@0.1"},
    {"lr-schedule", "Optimizer", "flat|cosine|inverse-sqrt|linear",
     "how the learning rate goes on after warm-up; cosine and linear come down over the whole run"},
    {"lr-min-factor", "Optimizer", "", "share of --lr that cosine and linear end at"},
    {"ema", "Optimizer", "",
     "keep an average of the weights that follows them by 1 - EMA a step, as 0.999, for eval and "
     "others to use (--weights ema); 0: none"},
    {"grad-clip", "Optimizer", "", "largest gradient norm that counts in full; 0: no clipping"},
    {"batch-sz", "Batch", "", "sequences per batch, B"},
    {"batch-split", "Batch", "", "parts that a batch is worked on in, one after another"},
    {"exact-split", "Batch", "",
     "work on the same small groups of sequences whatever the --batch-split: the same bits"},
    {"recompute", "Batch", "",
     "make each layer's activations again in the backward pass rather than keep them: the same "
     "bits, less memory, more time"},
    {"block-sz", "Batch", "", "tokens of a sequence per step, M"},
    {"nbatches", "Run", "", "steps between validations and checkpoints"},
    {"niter", "Run", "", "how many times nbatches steps to train, over all stages"},
    {"steps", "Run", "",
     "length of the whole run in updates, in place of --niter; 0: as --niter says"},
    {"patience", "Run", "", "end after so many validations in a row without a new best; 0: do not"},
    {"on-divergence", "Run", "stop|skip",
     "what to do with a step whose loss or gradient is not finite: end the run, or make no update "
     "and go on"},
    {"max-skips", "Run", "", "steps in a row that may be skipped so before the run ends"},
    {"divergence-factor", "Run", "",
     "a gradient norm above so many times its running mean counts as diverged, too; 0: none does"},
    {"validation", "Run", "fixed|rolling",
     "what a validation in training reads: fixed, the same part of the valid text each time, or "
     "rolling, what follows the last one, as the reference does"},
    {"init-from", "Run", "FILE",
     "begin a new run with the weights of this checkpoint, or of a run's folder the best"},
    {"init-optimizer", "Run", "", "and with its optimizer's state"},
    {"seed", "Run", "", "first number of all random streams"},
    {"full-eval-mode", "Run", "", "only evaluate the checkpoint on valid and test"},
    {"tensorboard", "Run", "DIR",
     "write event files for TensorBoard there; a folder for this run alone"},
    {"report-every", "Run", "",
     "steps after which report.html beside the checkpoint is written anew; 0: it is not"},
    {"checkpoint", "Run", "FILE",
     "file to save to, and to go on from if it is there, in a folder of its own for each run: "
     "metrics.jsonl and best.safetensors lie beside it; if not given, "
     "runs/PRESET-CORPUS/checkpoint.safetensors"},
    {"keep-last", "Run", "", "newest checkpoints to keep; older ones are named after their step"},
    {"log-steps", "Run", "", "steps between lines of metrics.jsonl"},
    {"data", "Data", "DIR", "folder of a corpus made by 'adaspan prepare'"},
    {"data-unit", "Data", "bpc|ppl",
     "how losses are shown: bits per character (of words: per token) or perplexity"},
    {"threads", "Process", "",
     "threads to use; 0: OMP_NUM_THREADS, or as many as affinity and quota allow"},
    {"precision", "Process", "f32|bf16|auto",
     "of activations; auto: bf16 where the processor computes in it"},
    {"cache-precision", "Model", "f32|bf16|auto",
     "of the layers' memory, for a whole run; auto: that of activations"},
    {"isa", "Process", "auto|plain|avx2|avx512|amx",
     "instructions to use; auto: the best there are"},
};

/// For `train` alone: others have no use for them, or a meaning of their own.
constexpr std::string_view kOfTraining[] = {"steps",
                                            "validation",
                                            "init-from",
                                            "init-optimizer",
                                            "lr-schedule",
                                            "lr-min-factor",
                                            "report-every",
                                            "tensorboard",
                                            "ema",
                                            "patience",
                                            "on-divergence",
                                            "max-skips",
                                            "divergence-factor"};

Flag::Kind kind_of(const ordered_json& value) {
  if (value.is_boolean()) return Flag::Kind::boolean;
  if (value.is_number_integer()) return Flag::Kind::integer;
  return value.is_number() ? Flag::Kind::number : Flag::Kind::text;
}

const char* type_of(Flag::Kind kind) {
  if (kind == Flag::Kind::boolean) return "";
  return kind == Flag::Kind::text ? "TEXT" : kind == Flag::Kind::number ? "NUMBER" : "INTEGER";
}

std::string text_of(const ordered_json& value) {
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::vector<Flag> all_flags() {
  ordered_json standard = to_json(TrainingConfig());
  standard.update({{"full-eval-mode", false},
                   {"tensorboard", ""},
                   {"report-every", 0},
                   {"threads", 0},
                   {"precision", "auto"},
                   {"isa", "auto"}});
  std::vector<Flag> all;
  for (const auto& [name, group, type, text] : kHelp) {
    const ordered_json& value = standard.at(name);
    const Flag::Kind kind = kind_of(value);
    const bool of_training = std::ranges::find(kOfTraining, name) != std::end(kOfTraining);
    all.push_back(
        {name, group, kind, *type ? type : type_of(kind), text_of(value), text, of_training});
  }
  return all;
}

}  // namespace

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = all_flags();
  return all;
}

const Flag& flag(std::string_view name) {
  const auto found = std::ranges::find(flags(), name, &Flag::name);
  require(found != flags().end(), "[settings] expected the name of a setting; got \"{}\"", name);
  return *found;
}

}  // namespace adaspan
