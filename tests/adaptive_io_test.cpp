// SPDX-License-Identifier: MIT
// Adaptive input and output against their definition in double precision: values, and gradients by
// central differences.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adaspan/core/cpu.h"
#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/core/random.h"
#include "adaspan/models/block_memory.h"
#include "adaspan/models/clusters.h"
#include "adaspan/models/io_memory.h"
#include "adaspan/models/transformer.h"
#include "tests/support/gradient_check.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

/// Clusters of 5, 4, 8 and 3 ids and of widths 12, 6, 3 and 1.
ModelConfig small_model(bool tied, DType precision = DType::f32) {
  return {.vocabulary = 20,
          .layers = 1,
          .hidden = 12,
          .inner = 16,
          .heads = 2,
          .span_limit = 8,
          .ramp = 4,
          .adaptive_io = {.on = true, .tied = tied, .divval = 2, .cutoffs = {5, 9, 17}},
          .precision = precision};
}

/// Input and output without layers between them, and an h for the output.
struct InputAndOutput {
  explicit InputAndOutput(const ModelConfig& c, const Shape& block)
      : config(c),
        input(make_input_embedding(c, store)),
        head(make_output_head(c, store, *input)),
        h("h", random_tensor({block[0], block[1], c.hidden}, 3)) {}

  /// Its values in double precision, by name; h among them.
  std::map<std::string, Array> values() const {
    std::map<std::string, Array> all;
    for (const Parameter* p : store.all()) all.emplace(p->name(), Array(p->value()));
    all.emplace("h", Array(h.value()));
    return all;
  }
  std::vector<Parameter*> all() {
    std::vector<Parameter*> list = store.all();
    list.push_back(&h);
    return list;
  }
  /// The name of tensor `what` of cluster i at the output.
  std::string output(const char* what, size_t i) const {
    const std::string number = std::to_string(i);
    const bool vectors = std::string(what) == "vectors";
    if (config.adaptive_io.tied) {
      return vectors ? "in_emb.emb_layers." + number + ".weight" : "in_emb.emb_projs." + number;
    }
    return vectors ? "out_emb.out_layers." + number + ".weight" : "out_emb.out_projs." + number;
  }

  ModelConfig config;
  ParameterStore store{7};
  std::unique_ptr<InputEmbedding> input;
  std::unique_ptr<OutputHead> head;
  Parameter h;
};

using Values = std::map<std::string, Array>;

/// sum_i v[i] (h_row . P[:,i]) + b for row v of the vectors
double logit(const Array& h, int64_t row, const Array& projection, const Array& vectors, int64_t v,
             double bias) {
  const int64_t H = projection.shape()[0], d = projection.shape()[1];
  for (int64_t i = 0; i < d; ++i) {
    double t = 0;
    for (int64_t k = 0; k < H; ++k) t += h[row * H + k] * projection(k, i);
    bias += t * vectors(v, i);
  }
  return bias;
}

double log_softmax(const std::vector<double>& x, size_t at) {
  double sum = 0;
  for (double value : x) sum += std::exp(value);
  return x[at] - std::log(sum);
}

/// log p of a word, as the paper has it: the clusters' columns after the words, last to first.
double log_p(const InputAndOutput& io, const Values& v, int64_t row, int64_t id) {
  const std::vector<Cluster> clusters = clusters_of(io.config);
  const size_t tails = clusters.size() - 1;
  const auto logits_of = [&](size_t i) {
    std::vector<double> x;
    const Array& bias = v.at("out_emb.out_layers." + std::to_string(i) + ".bias");
    for (int64_t w = 0; w < clusters[i].size; ++w) {
      x.push_back(logit(v.at("h"), row, v.at(io.output("projection", i)),
                        v.at(io.output("vectors", i)), w, bias[w]));
    }
    return x;
  };
  std::vector<double> head = logits_of(0);
  for (size_t c = 0; c < tails; ++c) {
    const auto column = static_cast<int64_t>(c);
    head.push_back(logit(v.at("h"), row, v.at(io.output("projection", 0)),
                         v.at("out_emb.cluster_proj.weight"), column,
                         v.at("out_emb.cluster_proj.bias")[column]));
  }
  size_t i = 0;
  while (id >= clusters[i].first + clusters[i].size) ++i;
  const auto within = static_cast<size_t>(id - clusters[i].first);
  if (i == 0) return log_softmax(head, within);
  return log_softmax(head, head.size() - i) + log_softmax(logits_of(i), within);
}

/// Gradients of a scalar that has been computed, against differences of its definition.
void check_gradients(InputAndOutput& io, const std::function<double(const Values&)>& definition) {
  constexpr double kStep = 1e-5;
  Values v = io.values();
  for (const Parameter* p : io.all()) {
    CAPTURE(p->name());
    if (p->grad().empty()) continue;
    Array& x = v.at(p->name());
    Array expected(p->shape());
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double at = x[i];
      x[i] = at + kStep;
      const double after = definition(v);
      x[i] = at - kStep;
      expected[i] = (after - definition(v)) / (2 * kStep);
      x[i] = at;
    }
    CHECK(relative_distance(p->grad(), expected) < 1e-5);
  }
}

Tensor ids_of(const Shape& shape, const std::vector<int32_t>& ids) {
  return Tensor::of(shape, ids);
}

/// Among 20 ids, some of each cluster.
Tensor random_ids(const Shape& shape, uint64_t seed = 5) {
  Tensor ids(shape, DType::i32);
  for (int64_t t = 0; t < ids.elements(); ++t) {
    ids.data<int32_t>()[t] =
        static_cast<int32_t>(random_bits({.seed = seed}, static_cast<uint64_t>(t)) % 20);
  }
  return ids;
}

/// Loss and its gradients, for both kinds.
void check_loss(const Tensor& targets) {
  for (bool tied : {false, true}) {
    CAPTURE(tied);
    InputAndOutput io(small_model(tied), targets.shape());
    const auto definition = [&](const Values& v) {
      double sum = 0;
      for (int64_t r = 0; r < targets.elements(); ++r) {
        sum -= log_p(io, v, r, targets.data<int32_t>()[r]);
      }
      return sum / static_cast<double>(targets.elements());
    };
    Tape tape;
    const Variable loss = io.head->loss(tape, io.h.variable(), targets);
    CHECK(loss.value().item() == Approx(definition(io.values())).epsilon(1e-6));
    tape.backward(loss);
    for (const Parameter* p : io.all()) {  // zeros rather than none
      CAPTURE(p->name());
      CHECK(p->grad().empty() == (!tied && p->name().starts_with("in_emb.")));
    }
    check_gradients(io, definition);
  }
}

/// sum(c y), of which only the gradient is looked at      dy = c
Variable weighted_sum(Tape& tape, const Variable& y, const Tensor& c) {
  return tape.record("weighted_sum", {y}, Tensor::zeros({1}),
                     [dy = y.grad(), type = y.type(), c = share(c.clone())](const Tensor&) {
                       dy.add(c->converted(type));
                     });
}

void check_input(const Tensor& ids) {
  InputAndOutput io(small_model(/*tied=*/false), ids.shape());
  const int64_t H = io.config.hidden;
  const Tensor c = random_tensor({ids.shape()[0], ids.shape()[1], H}, 8);
  const std::vector<Cluster> clusters = clusters_of(io.config);
  const auto element = [&](const Values& v, int64_t t, int64_t k) {
    int64_t id = ids.data<int32_t>()[t];
    size_t i = 0;
    while (id >= clusters[i].first + clusters[i].size) ++i;
    const Array& vectors = v.at("in_emb.emb_layers." + std::to_string(i) + ".weight");
    const Array& projection = v.at("in_emb.emb_projs." + std::to_string(i));
    double sum = 0;
    for (int64_t j = 0; j < clusters[i].width; ++j) {
      sum += vectors(id - clusters[i].first, j) * projection(k, j);
    }
    return std::sqrt(static_cast<double>(H)) * sum;
  };
  Tape tape;
  const Variable e = io.input->forward(tape, ids);
  Array expected(e.shape());
  const Values now = io.values();
  for (int64_t i = 0; i < expected.elements(); ++i) expected[i] = element(now, i / H, i % H);
  CHECK(relative_distance(e.value(), expected) < 1e-6);
  tape.backward(weighted_sum(tape, e, c));
  for (const Parameter* p : io.store.all()) {
    CAPTURE(p->name());
    CHECK(p->grad().empty() == p->name().starts_with("out_emb."));
  }
  check_gradients(io, [&](const Values& v) {
    double sum = 0;
    for (int64_t i = 0; i < c.elements(); ++i) sum += c.data()[i] * element(v, i / H, i % H);
    return sum;
  });
}

/// Values and gradients of input and output, of many tokens; 1 thread if not told otherwise.
std::vector<Tensor> results(const ModelConfig& config, int thread_count = 1) {
  const Shape block{60, 5};
  set_threads(thread_count);
  InputAndOutput io(config, block);
  Variable h(share(io.h.value().converted(config.precision)),
             std::make_shared<Gradient>(io.h.shape(), "h", config.precision));
  std::vector<Tensor> all;
  Tape tape;
  const Variable e = io.input->forward(tape, random_ids(block, 1));
  all.push_back(e.value().converted(DType::f32));
  tape.backward(weighted_sum(tape, e, random_tensor(e.shape(), 8)));
  const Variable loss = io.head->loss(tape, h, random_ids(block, 2));
  all.push_back(loss.value().clone());
  tape.backward(loss);
  all.push_back(h.shared_gradient()->take().converted(DType::f32));
  for (const Parameter* p : io.store.all()) all.push_back(p->grad().clone());
  all.push_back(io.head->log_probabilities(h));
  set_threads(1);
  return all;
}

}  // namespace

TEST_CASE("the loss of adaptive softmax is -log p(cluster) - log p(word | cluster)") {
  check_loss(random_ids({7, 3}));
}

TEST_CASE("adaptive softmax of a block where clusters are missing, or all but one") {
  check_loss(ids_of({2, 2}, {0, 4, 12, 1}));  // of the first and third alone
  check_loss(ids_of({3, 1}, {17, 19, 19}));   // of the last alone
  check_loss(ids_of({2, 2}, {3, 3, 0, 2}));   // of the first alone
  check_loss(ids_of({1, 1}, {8}));            // one row
}

TEST_CASE("adaptive embedding is sqrt(H) times a projected vector") {
  check_input(random_ids({7, 3}));
  check_input(ids_of({2, 2}, {18, 18, 2, 18}));  // clusters are missing
  check_input(ids_of({1, 1}, {5}));
}

TEST_CASE("what is tied gets the gradients of both sides") {
  const Tensor ids = random_ids({4, 3}, 1), targets = random_ids({4, 3}, 2);
  const auto gradients = [&](bool input, bool output) {
    InputAndOutput io(small_model(/*tied=*/true), ids.shape());
    Tape tape;
    const Variable e = io.input->forward(tape, ids);
    const Variable loss =
        io.head->loss(tape, input ? e : Variable::constant(e.value().clone()), targets);
    if (output) {
      tape.backward(loss);
    } else {  // as far as it comes through the input
      Tape whole;
      const Variable again = io.input->forward(whole, ids);
      std::vector<std::unique_ptr<InputAndOutput>> frozen;
      frozen.push_back(std::make_unique<InputAndOutput>(small_model(true), ids.shape()));
      whole.backward(frozen[0]->head->loss(whole, again, targets));
    }
    std::vector<Tensor> all;
    for (const Parameter* p : io.store.all()) all.push_back(p->grad().clone());
    return all;
  };
  const std::vector<Tensor> both = gradients(true, true), of_output = gradients(false, true),
                            of_input = gradients(true, false);
  for (size_t i = 0; i < 8; ++i) {  // vectors and projections of 4 clusters
    Array sum(of_output[i]);
    for (int64_t j = 0; j < sum.elements(); ++j) sum[j] += of_input[i].data()[j];
    CHECK(relative_distance(both[i], sum) < 1e-5);
  }
}

TEST_CASE("probabilities of all words sum to 1, and those of targets are the losses") {
  const Tensor targets = random_ids({6, 3});
  std::vector<ModelConfig> configs{small_model(true), small_model(false), small_model(true)};
  configs[2].adaptive_io.on = false;  // one softmax over all
  for (const ModelConfig& config : configs) {
    InputAndOutput io(config, targets.shape());
    const Tensor log_p_all = io.head->log_probabilities(io.h.variable());
    const Tensor losses = io.head->token_losses(io.h.variable(), targets);
    CHECK(log_p_all.shape() == Shape{6, 3, 20});
    CHECK(losses.shape() == Shape{6, 3});
    double mean = 0;
    for (int64_t r = 0; r < 18; ++r) {
      double sum = 0;
      for (int64_t v = 0; v < 20; ++v) sum += std::exp(double{log_p_all.data()[r * 20 + v]});
      CHECK(sum == Approx(1).epsilon(1e-5));
      const double of_target = log_p_all.data()[r * 20 + targets.data<int32_t>()[r]];
      CHECK(losses.data()[r] == Approx(-of_target).epsilon(1e-5));
      mean += losses.data()[r] / 18;
      if (config.adaptive_io.on) {
        CHECK(-of_target ==
              Approx(-log_p(io, io.values(), r, targets.data<int32_t>()[r])).epsilon(1e-5));
      }
    }
    Tape tape(Tape::Mode::evaluation);
    CHECK(io.head->loss(tape, io.h.variable(), targets).value().item() ==
          Approx(mean).epsilon(1e-6));
  }
}

TEST_CASE("a model's token losses have its loss as their mean, and leave the same memory") {
  for (bool on : {false, true}) {
    ModelConfig config = small_model(true);
    config.adaptive_io.on = on;
    const Transformer model(config, 1);
    const Tensor ids = random_ids({6, 3}, 1), targets = random_ids({6, 3}, 2);
    Tape tape(Tape::Mode::evaluation);
    const BlockLoss whole = model.loss(tape, ids, targets, model.fresh_memory(3));
    const BlockTokenLosses each = model.token_losses(ids, targets, model.fresh_memory(3));
    double mean = 0;
    for (float loss : each.losses.values()) mean += loss / 18;
    CHECK(whole.nll == Approx(mean).epsilon(1e-6));
    CHECK(each.memory[0].steps() == whole.memory[0].steps());
  }
}

TEST_CASE("any number of threads gives the same bits, in f32 and bf16, tied and not") {
  for (DType type : {DType::f32, DType::bf16}) {
    if (type == DType::bf16 && !bf16_obstacle().empty()) continue;
    for (bool tied : {false, true}) {
      const ModelConfig config = small_model(tied, type);
      const std::vector<Tensor> one = results(config);
      for (int count : {2, 3}) {
        const std::vector<Tensor> more = results(config, count);
        for (size_t i = 0; i < one.size(); ++i) CHECK(same_bits(one[i], more[i]));
      }
    }
  }
}

TEST_CASE("bf16 gives what f32 gives, but for rounding") {
  if (!bf16_obstacle().empty()) return;
  for (bool tied : {false, true}) {
    const std::vector<Tensor> wide = results(small_model(tied)),
                              half = results(small_model(tied, DType::bf16));
    REQUIRE(wide.size() == half.size());
    for (size_t i = 0; i < wide.size(); ++i) {
      CAPTURE(i);
      const double distance = relative_distance(half[i], Array(wide[i]));
      CHECK(distance < 2e-2);
      if (i != 1) CHECK(distance > 0);  // the loss may agree
    }
  }
}

TEST_CASE("clusters are cut at the cut-offs, each narrower than the one before") {
  ModelConfig c = small_model(true);
  c.vocabulary = 267'735;
  c.hidden = 512;
  c.adaptive_io = {.on = true, .tied = true};
  const std::vector<Cluster> clusters = clusters_of(c);
  const int64_t expected[][3] = {
      {0, 20'000, 512}, {20'000, 20'000, 128}, {40'000, 160'000, 32}, {200'000, 67'735, 8}};
  REQUIRE(clusters.size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(clusters[i].first == expected[i][0]);
    CHECK(clusters[i].size == expected[i][1]);
    CHECK(clusters[i].width == expected[i][2]);
  }
  c.hidden = 100;  // 100, 25, 6, 1: rounded down
  CHECK(clusters_of(c)[2].width == 6);
  CHECK(clusters_of(c)[3].width == 1);
}

TEST_CASE("parameters are counted as the model has them; those of WikiText-103 as published") {
  for (bool tied : {false, true}) {
    const ModelConfig c = small_model(tied);
    CHECK(parameter_count(c) == static_cast<double>(Transformer(c, 1).parameters().elements()));
  }
  ModelConfig c{.vocabulary = 267'735,
                .layers = 36,
                .hidden = 512,
                .heads = 8,
                .persistent = 2048,
                .span_limit = 2048,
                .span_kind = SpanKind::adaptive,
                .adaptive_io = {.on = true, .tied = true}};
  // Vectors, projections, biases, and the clusters' own numbers.
  const double vectors = 20'000 * 512 + 20'000 * 128 + 160'000 * 32 + 67'735 * 8;
  const double in_and_out = vectors + 512 * (512 + 128 + 32 + 8) + 267'735 + 3 * 513;
  CHECK(in_and_out == 19'079'314);
  CHECK(input_weights(c) + output_weights(c) == in_and_out);
  CHECK(parameter_count(c) == 132'493'746);
  c.adaptive_io.tied = false;
  CHECK(input_weights(c) + output_weights(c) == in_and_out + vectors + 512 * 680);
}

TEST_CASE("parameters have the reference's names and shapes, and starting numbers of their own") {
  struct Expected {
    const char* name;
    Shape shape;
    uint32_t site;
    int64_t fan_in;  // 0: N(0, 1)
  };
  const std::vector<Expected> shared = {{"in_emb.emb_layers.0.weight", {5, 12}, 0xffff10, 0},
                                        {"in_emb.emb_layers.1.weight", {4, 6}, 0xffff11, 0},
                                        {"in_emb.emb_layers.2.weight", {8, 3}, 0xffff12, 0},
                                        {"in_emb.emb_layers.3.weight", {3, 1}, 0xffff13, 0},
                                        {"in_emb.emb_projs.0", {12, 12}, 0xffff20, 12},
                                        {"in_emb.emb_projs.1", {12, 6}, 0xffff21, 6},
                                        {"in_emb.emb_projs.2", {12, 3}, 0xffff22, 3},
                                        {"in_emb.emb_projs.3", {12, 1}, 0xffff23, 1},
                                        {"out_emb.cluster_proj.weight", {3, 12}, 0xffff60, 12},
                                        {"out_emb.cluster_proj.bias", {3}, 0xffff61, 12},
                                        {"out_emb.out_layers.0.bias", {5}, 0xffff50, 12},
                                        {"out_emb.out_layers.1.bias", {4}, 0xffff51, 6},
                                        {"out_emb.out_layers.2.bias", {8}, 0xffff52, 3},
                                        {"out_emb.out_layers.3.bias", {3}, 0xffff53, 1}};
  const std::vector<Expected> own = {{"out_emb.out_layers.1.weight", {4, 6}, 0xffff31, 6},
                                     {"out_emb.out_layers.3.weight", {3, 1}, 0xffff33, 1},
                                     {"out_emb.out_projs.0", {12, 12}, 0xffff40, 12},
                                     {"out_emb.out_projs.2", {12, 3}, 0xffff42, 3}};
  for (bool tied : {false, true}) {
    ParameterStore store(7);
    const auto input = make_input_embedding(small_model(tied), store);
    make_output_head(small_model(tied), store, *input);
    std::map<std::string, const Parameter*> found;
    for (const Parameter* p : std::as_const(store).all()) found[p->name()] = p;
    CHECK(found.size() == (tied ? 14 : 22));
    const auto check = [&](const Expected& e) {
      CAPTURE(e.name);
      REQUIRE(found.contains(e.name));
      const Parameter& p = *found.at(e.name);
      CHECK(p.shape() == e.shape);
      const RandomKey key{.seed = 7, .purpose = Purpose::initialisation, .site = e.site};
      const double bound = 1 / std::sqrt(static_cast<double>(e.fan_in));
      const double expected =
          e.fan_in == 0 ? random_normal(key, 2) : bound * (2 * random_uniform(key, 2) - 1);
      CHECK(p.value().data()[2] == static_cast<float>(expected));
    };
    for (const Expected& e : shared) check(e);
    for (const Expected& e : own) {
      if (!tied) check(e);
      CHECK(found.contains(e.name) == !tied);
    }
  }
}

TEST_CASE("rows by cluster come in a few lengths") {
  std::set<int64_t> lengths;
  for (int64_t n = 1; n <= 16'384; ++n) {
    const int64_t planned = planned_rows(n);
    REQUIRE(planned >= n);
    REQUIRE(planned - n < std::max<int64_t>(32, n / 8));
    lengths.insert(planned);
  }
  CHECK(planned_rows(0) == 0);
  CHECK(lengths.size() < 70);

  const auto rows =
      rows_by_cluster(clusters_of(small_model(true)), ids_of({2, 2}, {7, 0, 19, 8}), -5);
  CHECK(rows[0].rows.elements() == 32);
  CHECK(rows[0].rows.data<int32_t>()[0] == 1);
  CHECK(rows[1].rows.data<int32_t>()[1] == 3);
  CHECK(rows[1].ids.data<int32_t>()[1] == 3);
  CHECK(rows[1].rows.data<int32_t>()[2] == -1);
  CHECK(rows[1].ids.data<int32_t>()[2] == -5);
  CHECK(rows[2].rows.elements() == 0);
  CHECK(rows[3].ids.data<int32_t>()[0] == 2);
}

TEST_CASE("the shares of clusters are those of words by rank") {
  ModelConfig c = small_model(true);
  c.vocabulary = 267'735;
  c.adaptive_io.cutoffs = {20'000, 40'000, 200'000};
  const std::vector<double> shares = zipf_shares(c);
  double all = 0, first = 0, second = 0;
  for (int64_t id = 0; id < c.vocabulary; ++id) {
    const double f = 1 / static_cast<double>(id + 1);
    all += f;
    first += id < 20'000 ? f : 0;
    second += id >= 20'000 && id < 40'000 ? f : 0;
  }
  CHECK(shares[0] == Approx(first / all).epsilon(1e-6));
  CHECK(shares[1] == Approx(second / all).epsilon(1e-6));
  CHECK(shares[0] + shares[1] + shares[2] + shares[3] == Approx(1));
}

TEST_CASE("cut-offs that do not fit are refused with what to do") {
  const auto refuses = [](const std::function<void(ModelConfig&)>& change, const char* text) {
    ModelConfig config = small_model(true);
    change(config);
    CHECK_THROWS_WITH_AS(Transformer(config, 1), Contains(text), Error);
    config.adaptive_io.on = false;  // where nobody uses them, anything will do
    CHECK_NOTHROW(Transformer(config, 1));
  };
  refuses([](ModelConfig& c) { c.adaptive_io.divval = 1; },
          "[model] expected model.adaptive_io.divval above 1; got 1");
  refuses([](ModelConfig& c) { c.adaptive_io.cutoffs.clear(); },
          "[model] expected 1 to 15 numbers in model.adaptive_io.cutoffs; got 0");
  refuses(
      [](ModelConfig& c) {
        c.adaptive_io.cutoffs.clear();
        for (int64_t i = 1; i <= 16; ++i) c.adaptive_io.cutoffs.push_back(i);
      },
      "[model] expected 1 to 15 numbers in model.adaptive_io.cutoffs; got 16");
  const char* rising = "[model] expected rising numbers above 0 in model.adaptive_io.cutoffs; got ";
  refuses([](ModelConfig& c) { c.adaptive_io.cutoffs = {0, 4}; }, rising);
  refuses([](ModelConfig& c) { c.adaptive_io.cutoffs = {4, 4}; }, rising);
  refuses([](ModelConfig& c) { c.adaptive_io.cutoffs = {6, 4}; }, "got 6,4");
  refuses(
      [](ModelConfig& c) {
        c.adaptive_io.cutoffs = {6, 20};
      },
      "[model] expected model.adaptive_io.cutoffs below 20, the size of the vocabulary; got "
      "6,20; give cut-offs that fit, or leave model.adaptive_io.on out");
  refuses([](ModelConfig& c) { c.adaptive_io.divval = 3; },
          "so that the last cluster's vectors have a number; got 12 for 3 to the power of 3");
}

TEST_CASE("ids that the model does not have are refused") {
  InputAndOutput io(small_model(true), {1, 1});
  Tape tape;
  for (int32_t wrong : {-1, 20}) {
    const Tensor ids = ids_of({1, 1}, {wrong});
    const std::string text = "[adaptive_io] expected ids in [0, 20); got " + std::to_string(wrong);
    CHECK_THROWS_WITH_AS(io.input->forward(tape, ids), Contains(text.c_str()), Error);
    CHECK_THROWS_WITH_AS(io.head->loss(tape, io.h.variable(), ids), Contains(text.c_str()), Error);
    CHECK_THROWS_WITH_AS(io.head->token_losses(io.h.variable(), ids), Contains(text.c_str()),
                         Error);
  }
}

}  // namespace adaspan
