// SPDX-License-Identifier: MIT
#include "adaspan/train/optim/optimizer.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "adaspan/core/parallel.h"
#include "adaspan/core/profile.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

/// A run of elements of one parameter: what one thread works on at a time.
struct Piece {
  size_t parameter;
  int64_t begin, n;
};

/// All gradients there are, cut into pieces; of the order of the parameters and elements.
std::vector<Piece> pieces_of(const std::vector<Parameter*>& parameters) {
  constexpr int64_t kLongest = 1 << 14;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i]->grad().empty()) continue;
    const int64_t n = parameters[i]->grad().elements();
    for (int64_t begin = 0; begin < n; begin += kLongest) {
      pieces.push_back({i, begin, std::min(kLongest, n - begin)});
    }
  }
  return pieces;
}

double elements_of(const std::vector<Piece>& pieces) {
  double sum = 0;
  for (const Piece& piece : pieces) sum += static_cast<double>(piece.n);
  return sum;
}

constexpr double kAdagradEpsilon = 1e-10;

/// G += g g;  p -= lr c g / (sqrt(G) + 1e-10),  c = clip / (||g|| + 1e-10) if ||g|| > clip, else 1,
/// for each parameter tensor by itself; G sums the unclipped gradient (Duchi et al. 2011).
class Adagrad : public Optimizer {
 public:
  Adagrad(std::vector<Parameter*> parameters, double clip)
      : Optimizer(std::move(parameters), {"sum"}), clip_(clip) {}

 private:
  void prepare(double learning_rate, int64_t, const GradientNorms& norms) override {
    rates_.clear();
    for (double length : norms.each) {
      const double c = clip_ > 0 && length > clip_ ? clip_ / (length + kAdagradEpsilon) : 1;
      rates_.push_back(static_cast<float>(learning_rate * c));
    }
  }
  void update_piece(size_t i, int64_t begin, int64_t n) override {
    row_kernels().adagrad(values(i) + begin, slot(0, i) + begin, gradient(i) + begin, rates_[i],
                          static_cast<float>(kAdagradEpsilon), n);
  }

  double clip_;
  std::vector<float> rates_;  // of each parameter
};

/// One factor for all parameters, on the norm over all of them.
float clip_factor(double clip, double norm) {
  return clip > 0 ? static_cast<float>(std::min(1.0, clip / (norm + 1e-6))) : 1;
}

/// v = momentum v + c g;  p -= lr v   (the first v is c g: v starts at 0)
class Sgd : public Optimizer {
 public:
  Sgd(std::vector<Parameter*> parameters, double momentum, double clip)
      : Optimizer(std::move(parameters), {"momentum"}),
        momentum_(static_cast<float>(momentum)),
        clip_(clip) {}

 private:
  void prepare(double learning_rate, int64_t, const GradientNorms& norms) override {
    rate_ = static_cast<float>(learning_rate);
    c_ = clip_factor(clip_, norms.all);
  }
  void update_piece(size_t i, int64_t begin, int64_t n) override {
    row_kernels().sgd(values(i) + begin, slot(0, i) + begin, gradient(i) + begin, rate_, momentum_,
                      c_, n);
  }

  float momentum_;
  double clip_;
  float rate_ = 0, c_ = 1;
};

constexpr double kMeanDecay = 0.9, kSquareDecay = 0.999;

/// m = 0.9 m + 0.1 c g;  v = 0.999 v + 0.001 (c g)^2;
/// p -= lr m / (1 - 0.9^n) / (sqrt(v / (1 - 0.999^n)) + 1e-8)   (Kingma, Ba 2015)
class Adam : public Optimizer {
 public:
  Adam(std::vector<Parameter*> parameters, double clip)
      : Optimizer(std::move(parameters), {"mean", "square"}), clip_(clip) {}

 private:
  void prepare(double learning_rate, int64_t step, const GradientNorms& norms) override {
    const auto n = static_cast<double>(step);
    numbers_.rate = static_cast<float>(learning_rate / (1 - std::pow(kMeanDecay, n)));
    numbers_.root = static_cast<float>(std::sqrt(1 - std::pow(kSquareDecay, n)));
    numbers_.factor = clip_factor(clip_, norms.all);
  }
  void update_piece(size_t i, int64_t begin, int64_t n) override {
    row_kernels().adam(values(i) + begin, slot(0, i) + begin, slot(1, i) + begin,
                       gradient(i) + begin, numbers_, n);
  }

  double clip_;
  AdamNumbers numbers_{.rate = 0,
                       .root = 1,
                       .factor = 1,
                       .mean_decay = static_cast<float>(kMeanDecay),
                       .mean_share = static_cast<float>(1 - kMeanDecay),
                       .square_decay = static_cast<float>(kSquareDecay),
                       .square_share = static_cast<float>(1 - kSquareDecay),
                       .epsilon = 1e-8f};
};

}  // namespace

GradientNorms gradient_norms(const std::vector<Parameter*>& parameters) {
  const std::vector<Piece> pieces = pieces_of(parameters);
  const double elements = elements_of(pieces);
  const Timed timed("gradient norms", 2 * elements, 4 * elements);
  const auto count = static_cast<int64_t>(pieces.size());
  std::vector<double> sums(pieces.size());
  parallel_for(count, [&](int64_t k) {
    const Piece& piece = pieces[static_cast<size_t>(k)];
    const float* const g = parameters[piece.parameter]->grad().data();
    sums[static_cast<size_t>(k)] = row_kernels().sum_of_squares(g + piece.begin, piece.n);
  });
  GradientNorms norms;
  norms.each.resize(parameters.size());
  add_in_order(count, 1, 1, [&](int64_t k, int64_t, int64_t) {
    norms.each[pieces[static_cast<size_t>(k)].parameter] += sums[static_cast<size_t>(k)];
  });
  for (double& sum : norms.each) {
    norms.all += sum;
    sum = std::sqrt(sum);
  }
  norms.all = std::sqrt(norms.all);
  return norms;
}

Optimizer::Optimizer(std::vector<Parameter*> parameters, std::vector<std::string> slots)
    : parameters_(std::move(parameters)) {
  for (std::string& name : slots) {
    Slot& slot = slots_.emplace_back(Slot{std::move(name), {}});
    for (const Parameter* p : parameters_) slot.tensors.push_back(Tensor::zeros(p->shape()));
  }
}

double clipped_share(const OptimizerConfig& config, const GradientNorms& norms) {
  const auto cut = [&](double length) { return config.grad_clip > 0 && length > config.grad_clip; };
  if (config.kind != OptimizerKind::adagrad) return cut(norms.all) ? 1 : 0;
  return static_cast<double>(std::ranges::count_if(norms.each, cut)) /
         static_cast<double>(norms.each.size());
}

void Optimizer::update(double learning_rate, int64_t step, const GradientNorms& norms) {
  assert(norms.each.size() == parameters_.size());
  const std::vector<Piece> pieces = pieces_of(parameters_);
  // Read: the gradient; read and written: the parameter and each slot.
  const double elements = elements_of(pieces);
  const auto tensors = static_cast<double>(1 + 2 * (1 + slots_.size()));
  const Timed timed("optimizer", 8 * elements, 4 * tensors * elements);
  prepare(learning_rate, step, norms);
  parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t k) {
    const Piece& piece = pieces[static_cast<size_t>(k)];
    update_piece(piece.parameter, piece.begin, piece.n);
    parameters_[piece.parameter]->keep_bounds(piece.begin, piece.n);
  });
}

std::vector<std::pair<std::string, Tensor*>> Optimizer::state() {
  std::vector<std::pair<std::string, Tensor*>> all;
  for (Slot& slot : slots_) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      all.emplace_back("optim." + slot.name + "." + parameters_[i]->name(), &slot.tensors[i]);
    }
  }
  return all;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config,
                                          std::vector<Parameter*> parameters) {
  switch (config.kind) {
    case OptimizerKind::adagrad:
      return std::make_unique<Adagrad>(std::move(parameters), config.grad_clip);
    case OptimizerKind::adam:
      return std::make_unique<Adam>(std::move(parameters), config.grad_clip);
    case OptimizerKind::sgd:
      break;
  }
  return std::make_unique<Sgd>(std::move(parameters), config.momentum, config.grad_clip);
}

double learning_rate_at(int64_t step, double lr, int64_t warmup) {
  if (warmup <= 0) return lr;
  return lr * std::min(1.0, static_cast<double>(step) / static_cast<double>(warmup));
}

}  // namespace adaspan
