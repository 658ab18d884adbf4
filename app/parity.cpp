// SPDX-License-Identifier: MIT
#include "app/parity.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/safetensors.h"
#include "adaspan/train/run/config_record.h"
#include "adaspan/train/run/evaluate.h"
#include "adaspan/train/run/trainer.h"

namespace adaspan {
namespace {

using nlohmann::ordered_json;

/// Largest relative errors that agree.
struct Bounds {
  double forward;      // loss and log-probabilities of the second block
  double gradients;    // of the second block
  double early, late;  // training loss of the first steps, and after
  double spans;        // over all steps
  double evaluation;
};
constexpr size_t kEarlySteps = 10;

/// A bf16 rounding is off by at most 2^-8 of the value, by 0.4 * 2^-8 in the root mean square. In
/// the recorded models (2 layers) 30 to 40 of them are behind a gradient, one after another and
/// independent: 6 * 0.4 * 2^-8 = 1e-2, which is the median error found. A preactivation that is off
/// by that share of its spread opens or closes up to a share of 1e-2 of relu's gates: an error of
/// sqrt(1e-2) = 1e-1 of what passes them (found: up to 6e-2); sums that cancel, as of spans, have
/// the like (7e-2). Log-probabilities are means over a row, losses over all rows: well within one
/// rounding (7e-4, 2e-4). The training loss follows gradients that are off by these; Adagrad's
/// first steps are of the gradient's sign, which moves small spans by a tenth (found: loss 3e-3,
/// spans 9e-2). With adaptive input and output the loss falls from 17 nats to 4 within 30 steps of
/// Adam, and late ones are off by more (found: 1.1e-2).
constexpr Bounds bounds_of(DType precision, bool adaptive_io) {
  if (precision == DType::f32) {
    return {.forward = 1e-4,
            .gradients = 1e-4,
            .early = 1e-3,
            .late = 1e-2,
            .spans = 1e-2,
            .evaluation = 1e-2};
  }
  return {.forward = 0x1p-8,
          .gradients = 0x1p-3,
          .early = 1e-2,
          .late = adaptive_io ? 2e-2 : 1e-2,
          .spans = 0.2,
          .evaluation = 1e-2};
}

/// Of a run with adaptive input and output: its cut-offs are "[20, 50]", without they are "None".
/// Where it is tied, the file has the shared tensors twice, and the model the input's.
void set_adaptive_io(TrainingConfig& c, const SafetensorsFile& file) {
  std::string cutoffs = file.metadata("adapt_io_cutoffs");
  if (cutoffs == "None") return;
  std::erase_if(cutoffs, [](char x) { return x == '[' || x == ']'; });
  c.model.adaptive_io.on = true;
  c.model.adaptive_io.tied = file.metadata("adapt_io_tied") == "True";
  assign(c, "adapt-io-divval", file.metadata("adapt_io_divval"));
  assign(c, "adapt-io-cutoffs", cutoffs);
}

/// The options of a recorded run.
TrainingConfig recorded_config(const SafetensorsFile& file) {
  const std::string& span = file.metadata("adapt_span");
  TrainingConfig c;
  const std::pair<const char*, const char*> same[] = {{"nlayers", "layers"},
                                                      {"hid-sz", "hidden"},
                                                      {"inner-hid-sz", "inner"},
                                                      {"nheads", "heads"},
                                                      {"pers-mem-size", "pers_mem"},
                                                      {"attn-span", "span"},
                                                      {"block-sz", "block"},
                                                      {"batch-sz", "batch"},
                                                      {"adapt-span-ramp", "ramp"},
                                                      {"adapt-span-init", "span_init"},
                                                      {"adapt-span-loss", "span_loss"},
                                                      {"optim", "optim"},
                                                      {"lr", "lr"},
                                                      {"lr-warmup", "warmup"},
                                                      {"grad-clip", "grad_clip"},
                                                      {"momentum", "momentum"},
                                                      {"batch-split", "batch_split"}};
  for (const auto& [ours, theirs] : same) assign(c, ours, file.metadata(theirs));
  c.model.span_kind = span == "dynamic" ? SpanKind::dynamic
                      : span == "True"  ? SpanKind::adaptive
                                        : SpanKind::fixed;
  c.model.adapt_cache = file.metadata("adapt_cache") == "True";
  set_adaptive_io(c, file);
  c.model.dropout = 0;
  c.model.vocabulary = static_cast<int64_t>(std::stoll(file.metadata("vocab")));
  return c;
}

/// |a - b| / |b|, Euclidean; infinity for anything that is no number.
double relative_error(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  const double error = std::sqrt(difference) / (std::sqrt(size) + 1e-12);
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

std::vector<double> widen(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value * value;
  return std::sqrt(sum);
}

/// [M,B,V] -> [B,M,V]
std::vector<double> batch_first(const Tensor& x) {
  const int64_t M = x.shape()[0], B = x.shape()[1], V = x.shape()[2];
  std::vector<double> result(x.elements());
  for (int64_t row = 0; row < M * B; ++row) {
    std::copy_n(x.data() + row * V, V, result.data() + (row % B * M + row / B) * V);
  }
  return result;
}

/// Compares quantities of one file and hands on a row for each.
class Comparison {
 public:
  Comparison(const SafetensorsFile& file, const Bounds& bounds,
             const std::function<void(const ordered_json&)>& row)
      : file_(file), bounds_(bounds), row_(row) {}

  const Bounds& bounds() const { return bounds_; }

  /// A norm-wise comparison; `value` is what the row shows.
  void compare(const std::string& name, const std::vector<double>& ours, ordered_json value,
               double bound) {
    const double error = relative_error(ours, file_.doubles(name));
    finish({{"name", name}, {"value", std::move(value)}, {"rel_error", error}, {"bound", bound}},
           error <= bound);
  }

  /// Step by step: the worst error, and whether each step is within its own bound.
  void compare_steps(const std::string& name, const std::vector<double>& ours) {
    const std::vector<double> theirs = file_.doubles(name);
    require(theirs.size() == ours.size(), "[parity] expected {} steps of {}; got {}", ours.size(),
            name, theirs.size());
    double worst = 0;
    bool ok = true;
    for (size_t i = 0; i < ours.size(); ++i) {
      const double error = relative_error({&ours[i], 1}, {&theirs[i], 1});
      worst = std::max(worst, error);
      ok = ok && error <= (i < kEarlySteps ? bounds_.early : bounds_.late);
    }
    finish({{"name", name},
            {"value", ours},
            {"rel_error", worst},
            {"bound", ordered_json::array({bounds_.early, bounds_.late})}},
           ok);
  }

  bool all_agree() const { return all_agree_; }

 private:
  void finish(ordered_json row, bool ok) {
    row["ok"] = ok;
    all_agree_ = all_agree_ && ok;
    row_(row);
  }

  const SafetensorsFile& file_;
  const Bounds bounds_;
  const std::function<void(const ordered_json&)>& row_;
  bool all_agree_ = true;
};

void set_parameters(Transformer& model, const SafetensorsFile& file, const std::string& prefix) {
  for (Parameter* p : model.parameters().all()) {
    const Tensor from = file.tensor(prefix + p->name());
    require(from.shape() == p->shape(), "[parity] expected {} of shape {}; got {}", p->name(),
            p->shape().text(), from.shape().text());
    std::memcpy(p->value().data(), from.data(), from.bytes());
  }
}

/// Loss, log-probabilities (if recorded: the reference's adaptive output has none) and gradients of
/// the second block; the first only fills the memory.
void compare_second_block(Transformer& model, const BatchConfig& batch, const TokenStream& stream,
                          bool log_probabilities, Comparison& comparison) {
  BlockReader reader(stream, batch.sequences, batch.block, /*seed=*/0);
  const Block first = reader.next(), second = reader.next();
  const Memory memory = model.predict(first.inputs, model.fresh_memory(batch.sequences)).memory;

  Tape tape;
  const BlockLoss second_loss = model.loss(tape, second.inputs, second.targets, memory);
  tape.backward(second_loss.total);

  const double loss = second_loss.nll;
  comparison.compare("block2.loss", {loss}, loss, comparison.bounds().forward);
  if (log_probabilities) {
    const std::vector<double> log_probability =
        batch_first(model.predict(second.inputs, memory).log_probabilities);
    comparison.compare("block2.logprob", log_probability, norm_of(log_probability),
                       comparison.bounds().forward);
  }
  for (Parameter* p : model.parameters().all()) {
    const std::vector<double> grad = widen(p->grad());
    comparison.compare("block2.grad." + p->name(), grad, norm_of(grad),
                       comparison.bounds().gradients);
  }
}

}  // namespace

bool replay(const std::filesystem::path& path, DType precision,
            const std::function<void(const ordered_json& row)>& row) {
  const FlushDenormals flush;  // as in a training step
  const SafetensorsFile file(path);
  TrainingConfig config = recorded_config(file);
  config.model.precision = precision;
  const TokenStream stream = TokenStream::of(file.tensor("tokens"), "the recorded run");
  Comparison comparison(file, bounds_of(precision, config.model.adaptive_io.on), row);

  Transformer model(config.model, /*seed=*/0);
  set_parameters(model, file, "init.");
  compare_second_block(model, config.batch, stream, file.has("block2.logprob"), comparison);

  Trainer trainer(config, config.model.vocabulary, stream, stream);
  set_parameters(trainer.model(), file, "init.");
  std::vector<double> losses, ratios;
  const int64_t steps = std::stoll(file.metadata("steps"));
  for (int64_t i = 0; i < steps; ++i) {
    losses.push_back(trainer.step().loss);
    for (const Parameter* p : trainer.model().span_ratios()) {
      ratios.insert(ratios.end(), p->value().values().begin(), p->value().values().end());
    }
  }
  comparison.compare_steps("train.loss", losses);
  if (file.has("train.span"))
    comparison.compare("train.span", ratios, ratios, comparison.bounds().spans);

  set_parameters(trainer.model(), file, "final.");
  const double loss =
      evaluate(trainer.model(), stream, config.batch.sequences, config.batch.block).loss;
  comparison.compare("eval.loss", {loss}, loss, comparison.bounds().evaluation);
  return comparison.all_agree();
}

}  // namespace adaspan
