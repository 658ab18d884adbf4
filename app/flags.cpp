// SPDX-License-Identifier: MIT
// The flags of the program. Kinds and defaults are those of the fields that they set.
#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "adaspan/train/run/config_record.h"
#include "app/settings.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

struct Help {
  const char* name;
  const char* text;
};

constexpr Help kHelp[] = {
    {"nlayers", "number of layers L"},
    {"hid-sz", "hidden size H"},
    {"inner-hid-sz", "width of the feed-forward layer"},
    {"nheads", "attention heads per layer, K; divides the hidden size"},
    {"attn-span", "span limit S: no head looks further back, in tokens"},
    {"dropout", "dropout of attention weights and of the feed-forward layer"},
    {"emb-dropout", "dropout of embeddings and of the last layer's output"},
    {"adapt-span", "learn one span per head (adaptive)"},
    {"dynamic-span", "learn one span per head and token (dynamic)"},
    {"adapt-span-loss", "lambda, the price of a step of span"},
    {"adapt-span-ramp", "R, over how many tokens the mask falls to 0"},
    {"adapt-span-init", "first span, as a share of the limit"},
    {"adapt-span-cache", "remember only as much as the (adaptive) spans need"},
    {"skip-missing",
     "leave out steps before the start of a stream (the reference attends to zeros there)"},
    {"data", "folder of a corpus made by 'adaspan prepare'"},
    {"data-unit", "how losses are shown: bpc (bits per character) or ppl"},
    {"optim", "sgd, adagrad or adam"},
    {"lr", "learning rate"},
    {"momentum", "momentum of sgd"},
    {"lr-warmup", "steps over which the learning rate rises from 0"},
    {"grad-clip", "largest gradient norm that counts in full; 0: no clipping"},
    {"batch-sz", "sequences per batch, B"},
    {"batch-split", "parts that a batch is worked on in, one after another"},
    {"exact-split",
     "work on the same small groups of sequences whatever the --batch-split: the same bits"},
    {"block-sz", "tokens of a sequence per step, M"},
    {"nbatches", "steps between validations and checkpoints"},
    {"niter", "how many times nbatches steps to train"},
    {"steps", "length of the whole run in updates, in place of --niter"},
    {"validation",
     "what a validation in training reads: fixed, the same part of the valid text each time, or "
     "rolling, what follows the last one, as the reference does"},
    {"init-from", "begin a new run with the weights of this checkpoint"},
    {"init-optimizer", "and with its optimizer's state"},
    {"checkpoint",
     "file to save to, and to go on from if it is there, in a folder of its own for each run: "
     "metrics.jsonl and best.safetensors lie beside it"},
    {"full-eval-mode", "only evaluate the checkpoint on valid and test"},
    {"keep-last", "newest checkpoints to keep; older ones are named after their step"},
    {"seed", "first number of all random streams"},
    {"threads", "threads to use; 0: as many as this process may use"},
    {"log-steps", "steps between lines of metrics.jsonl"},
    {"precision", "of activations: f32, bf16, or auto: bf16 where the processor computes in it"},
    {"isa", "instructions to use: plain, avx2, avx512, amx, or auto: the best there are"}};

/// For `train` alone: others have no use for them, or a meaning of their own.
constexpr std::string_view kOfTraining[] = {"steps", "validation", "init-from", "init-optimizer"};

Flag::Kind kind_of(const ordered_json& value) {
  if (value.is_boolean()) return Flag::Kind::boolean;
  if (value.is_number_integer()) return Flag::Kind::integer;
  return value.is_number() ? Flag::Kind::number : Flag::Kind::text;
}

std::string text_of(const ordered_json& value) {
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::vector<Flag> all_flags() {
  ordered_json standard = to_json(TrainingConfig());
  standard.update(
      {{"full-eval-mode", false}, {"threads", 0}, {"precision", "auto"}, {"isa", "auto"}});
  std::vector<Flag> all;
  for (const auto& [name, text] : kHelp) {
    const ordered_json& value = standard.at(name);
    const bool of_training = std::ranges::find(kOfTraining, name) != std::end(kOfTraining);
    all.push_back({name, kind_of(value), text_of(value), text, of_training});
  }
  return all;
}

}  // namespace

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = all_flags();
  return all;
}

}  // namespace adaspan
