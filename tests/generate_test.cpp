// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/generate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "adaspan/core/error.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Contains;
using Ids = std::vector<int32_t>;

constexpr int64_t kVocabulary = 11;

/// What it attends to weighs so much that the likeliest token depends on more than the last one.
struct Model : Transformer {
  static ModelConfig config() {
    ModelConfig c = tiny_config(SpanKind::adaptive).model;
    c.vocabulary = kVocabulary;
    return c;
  }
  Model() : Transformer(config(), 3) {
    for (Parameter* p : parameters().all()) {
      if (p->name().find("proj_") == std::string::npos) continue;
      for (int64_t i = 0; i < p->value().elements(); ++i) p->value().data()[i] *= 5;
    }
  }
};

/// The likeliest next token given the whole text, read as one block.
int32_t likeliest(const Transformer& model, const Ids& text) {
  const auto size = static_cast<int64_t>(text.size());
  const BlockPrediction block =
      model.predict(Tensor::of({size, 1}, std::span<const int32_t>(text)), model.fresh_memory(1));
  const auto last = block.log_probabilities.values().last(kVocabulary);
  return static_cast<int32_t>(std::ranges::max_element(last) - last.begin());
}

TEST_CASE("the seed decides the text") {
  const Model model;
  const GenerateOptions one{.length = 40, .sampling = {.temperature = 1}, .seed = 1};
  const GenerateOptions two{.length = 40, .sampling = {.temperature = 1}, .seed = 2};
  CHECK(generate(model, {1, 2}, one) == generate(model, {1, 2}, one));
  CHECK(generate(model, {1, 2}, one) != generate(model, {1, 2}, two));
}

TEST_CASE("a shorter text is the beginning of a longer one") {
  const Model model;
  const Ids text = generate(model, {1}, {.length = 20});
  CHECK(text.size() == 20);
  CHECK(generate(model, {1}, {.length = 7}) == Ids(text.begin(), text.begin() + 7));
  CHECK(generate(model, {1}, {.length = 0}).empty());
}

TEST_CASE("temperature 0 always takes the likeliest token, given all before it") {
  const Model model;
  Ids text{4, 7, 1};
  const Ids drawn =
      generate(model, text, {.length = 40, .sampling = {.temperature = 0}, .seed = 5});
  for (int32_t token : drawn) {  // far beyond the span limit
    CHECK(token == likeliest(model, text));
    text.push_back(token);
  }
}

TEST_CASE("the lower the temperature, the likelier the tokens") {
  const Model model;
  CHECK(generate(model, {4}, {.length = 30, .sampling = {.temperature = 1e-6}}) ==
        generate(model, {4}, {.length = 30, .sampling = {.temperature = 0}}));
  const Ids hot = generate(model, {4}, {.length = 300, .sampling = {.temperature = 1e6}});
  CHECK(std::set<int32_t>(hot.begin(), hot.end()).size() == kVocabulary);
  for (int32_t token = 0; token < kVocabulary; ++token) {  // 27 of each expected, give or take 5
    CHECK(std::abs(std::ranges::count(hot, token) - 27) < 25);
  }
}

TEST_CASE("the prompt counts") {
  const Model model;
  CHECK(generate(model, {1, 2, 3}, {.length = 20}) != generate(model, {3, 2, 1}, {.length = 20}));
}

TEST_CASE("an empty prompt, a negative length and a negative temperature are refused") {
  const Model model;
  CHECK_THROWS_WITH_AS(generate(model, {}, {}),
                       "[generate] expected a prompt of at least one token; got none", Error);
  CHECK_THROWS_WITH_AS(generate(model, {1}, {.length = -1}),
                       Contains("[generate] expected generate.length of at least 0; got -1"),
                       Error);
  CHECK_THROWS_WITH_AS(generate(model, {1}, {.sampling = {.temperature = -0.5}}),
                       Contains("[generate] expected generate.temperature of at least 0; got -0.5"),
                       Error);
}

TEST_CASE("a text depends on its number, not on how many are written beside it") {
  const Model model;
  constexpr int64_t kTexts = 5;
  const GenerateOptions options{.length = 60, .sampling = {.temperature = 1}, .seed = 4};
  const auto texts = [&](int64_t count, int64_t ended) {
    std::vector<Ids> all(static_cast<size_t>(count));
    Decoder decoder(model, {.texts = count});
    generate(decoder, Ids{3, 1}, options, [&](int64_t n, int32_t token, float log_p) {
      CHECK(log_p < 0);
      all[static_cast<size_t>(n)].push_back(token);
      return n != ended;
    });
    return all;
  };
  const std::vector<Ids> five = texts(kTexts, -1), one = texts(1, -1), some = texts(kTexts, 2);
  CHECK(five[0] == one[0]);
  CHECK(five[0] == generate(model, {3, 1}, options));
  CHECK(std::set<Ids>(five.begin(), five.end()).size() == kTexts);
  for (size_t n = 0; n < kTexts; ++n) CHECK(some[n] == (n == 2 ? Ids{five[2][0]} : five[n]));
}

TEST_CASE("a model whose probabilities are no numbers writes nothing") {
  Model model;
  for (Parameter* p : model.parameters().all()) {
    float* const x = p->value().data();
    const int64_t n = p->value().elements();
    if (p->name().ends_with("norm2.weight")) std::fill_n(x, n, 1e38f);
    if (p->name() != "out_emb.weight") continue;
    for (int64_t i = 0; i < n; ++i) x[i] = i % 2 == 0 ? 3e38f : -3e38f;
  }
  CHECK_THROWS_WITH_AS(generate(model, {1, 2}, {.length = 3}),
                       Contains("expected a probability for each token; got nan"), Error);
}

TEST_CASE("a prompt of tokens that the model does not have is refused") {
  CHECK_THROWS_AS(generate(Model(), {kVocabulary}, {}), Error);
}

}  // namespace
}  // namespace adaspan
