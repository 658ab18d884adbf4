// SPDX-License-Identifier: MIT
#include "train/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"

namespace adaspan {
namespace {

constexpr int64_t kChunk = 1 << 14;

/// body(i) for every element of `like`, in parallel
template <class Body>
void for_each_element(const Tensor& like, const Body& body) {
  parallel_chunks(like.elements(), kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

/// G += g g;  p -= lr c g / (sqrt(G) + 1e-10),  c = clip / (||g|| + 1e-10) if ||g|| > clip, else 1,
/// for each parameter tensor by itself; G sums the unclipped gradient (Duchi et al. 2011).
class Adagrad : public Optimizer {
 public:
  Adagrad(std::vector<Parameter*> parameters, double clip)
      : Optimizer(std::move(parameters), {"sum"}), clip_(clip) {}

 private:
  void update_one(size_t i, double learning_rate, int64_t) override {
    const Tensor& grad = parameter(i).grad();
    const double length = norm(grad);
    const double c = clip_ > 0 && length > clip_ ? clip_ / (length + 1e-10) : 1;
    const auto rate = static_cast<float>(learning_rate * c);
    const float* g = grad.data();
    float* G = slot(0, i).data();
    float* p = parameter(i).value().data();
    for_each_element(grad, [=](int64_t j) {
      G[j] += g[j] * g[j];
      p[j] -= rate * g[j] / (std::sqrt(G[j]) + 1e-10f);
    });
  }

  double clip_;
};

/// Clips by one factor on the norm over all parameters: c = min(1, clip / (norm + 1e-6)).
class GloballyClipped : public Optimizer {
 protected:
  GloballyClipped(std::vector<Parameter*> parameters, std::vector<std::string> slots, double clip)
      : Optimizer(std::move(parameters), std::move(slots)), clip_(clip) {}

  void prepare() override {
    factor_ = 1;
    if (clip_ > 0) {
      factor_ = static_cast<float>(std::min(1.0, clip_ / (gradient_norm(parameters()) + 1e-6)));
    }
  }
  float factor() const { return factor_; }

 private:
  double clip_;
  float factor_ = 1;
};

/// v = momentum v + c g;  p -= lr v   (the first v is c g: v starts at 0)
class Sgd : public GloballyClipped {
 public:
  Sgd(std::vector<Parameter*> parameters, double momentum, double clip)
      : GloballyClipped(std::move(parameters), {"momentum"}, clip),
        momentum_(static_cast<float>(momentum)) {}

 private:
  void update_one(size_t i, double learning_rate, int64_t) override {
    const auto rate = static_cast<float>(learning_rate);
    const float momentum = momentum_, c = factor();
    const float* g = parameter(i).grad().data();
    float* v = slot(0, i).data();
    float* p = parameter(i).value().data();
    for_each_element(parameter(i).value(), [=](int64_t j) {
      v[j] = momentum * v[j] + c * g[j];
      p[j] -= rate * v[j];
    });
  }

  float momentum_;
};

/// m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g g;
/// p -= lr m / (1 - 0.9^n) / (sqrt(v / (1 - 0.999^n)) + 1e-8)   (Kingma, Ba 2015)
class Adam : public GloballyClipped {
 public:
  Adam(std::vector<Parameter*> parameters, double clip)
      : GloballyClipped(std::move(parameters), {"mean", "square"}, clip) {}

 private:
  void update_one(size_t i, double learning_rate, int64_t step) override {
    const auto n = static_cast<double>(step);
    const auto rate = static_cast<float>(learning_rate / (1 - std::pow(0.9, n)));
    const auto root = static_cast<float>(std::sqrt(1 - std::pow(0.999, n)));
    const float c = factor();
    const float* g = parameter(i).grad().data();
    float* m = slot(0, i).data();
    float* v = slot(1, i).data();
    float* p = parameter(i).value().data();
    for_each_element(parameter(i).value(), [=](int64_t j) {
      const float gradient = c * g[j];
      m[j] = 0.9f * m[j] + 0.1f * gradient;
      v[j] = 0.999f * v[j] + 0.001f * gradient * gradient;
      p[j] -= rate * m[j] / (std::sqrt(v[j]) / root + 1e-8f);
    });
  }
};

double sum_of_squares(const Tensor& tensor) {
  std::vector<double> partial((tensor.elements() + kChunk - 1) / kChunk, 0);
  parallel_chunks(tensor.elements(), kChunk, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) {
      sum += static_cast<double>(tensor.data()[i]) * tensor.data()[i];
    }
    partial[begin / kChunk] = sum;
  });
  double sum = 0;
  for (double part : partial) sum += part;
  return sum;
}

}  // namespace

Optimizer::Optimizer(std::vector<Parameter*> parameters, std::vector<std::string> slots)
    : parameters_(std::move(parameters)) {
  for (std::string& name : slots) {
    Slot& slot = slots_.emplace_back(Slot{std::move(name), {}});
    for (const Parameter* p : parameters_) slot.tensors.push_back(Tensor::zeros(p->shape()));
  }
}

void Optimizer::update(double learning_rate, int64_t step) {
  prepare();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i]->grad().empty()) update_one(i, learning_rate, step);
  }
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

double norm(const Tensor& tensor) {
  return std::sqrt(sum_of_squares(tensor));
}

double gradient_norm(const std::vector<Parameter*>& parameters) {
  double sum = 0;
  for (const Parameter* p : parameters) {
    if (!p->grad().empty()) sum += sum_of_squares(p->grad());
  }
  return std::sqrt(sum);
}

double learning_rate_at(int64_t step, double lr, int64_t warmup) {
  if (warmup <= 0) return lr;
  return lr * std::min(1.0, static_cast<double>(step) / static_cast<double>(warmup));
}

}  // namespace adaspan
