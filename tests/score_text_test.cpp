// SPDX-License-Identifier: MIT
#include "adaspan/train/run/score_text.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <string>

#include "adaspan/core/error.h"
#include "adaspan/core/file.h"
#include "adaspan/train/data/prepare.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace adaspan {
namespace {

using doctest::Approx;
using doctest::Contains;

/// Lines of a few words of a few letters; the last one has no newline.
std::string text_of_words(uint64_t seed, int64_t letters) {
  const TokenStream stream = random_stream(letters, 9, seed);
  std::vector<int32_t> ids(static_cast<size_t>(letters));
  stream.read(0, letters, ids.data());
  std::string text = "abcdef g\n";
  for (const int32_t id : ids) text += id == 8 ? '\n' : id == 7 ? ' ' : static_cast<char>('a' + id);
  return text + "b";
}

/// A corpus, a model for it that was not trained, and the text of its test part.
struct Place {
  explicit Place(const Reading& reading, std::optional<int64_t> minimum_count = {},
                 DType precision = DType::f32)
      : corpus(prepared(reading, minimum_count)),
        loaded{{tiny_config(SpanKind::adaptive), corpus.identity(), {}, "", true}, nullptr, ""} {
    TrainingConfig& config = loaded.header.config;
    config.model.vocabulary = corpus.vocabulary().size();
    config.model.precision = precision;
    loaded.model = std::make_unique<Transformer>(config.model, 1);
  }

  TextScore score(std::string_view given, const ScoreTextOptions& options = {}) const {
    return score_text(loaded, corpus, given, "the text", options);
  }

  TemporaryFolder folder;
  std::string test = text_of_words(3, 700);
  Corpus corpus;
  LoadedModel loaded;

 private:
  Corpus prepared(const Reading& reading, std::optional<int64_t> minimum_count) const {
    PrepareOptions options;
    options.format = reading.format;
    options.newline = reading.newline;
    options.minimum_count = minimum_count;
    // Words are those of all three, so that none is unknown.
    const std::string train = text_of_words(1, 3000) + "\n" + (minimum_count ? "" : test);
    atomic_write(options.input = folder / "train", train);
    atomic_write(options.valid = folder / "valid", test);
    atomic_write(options.test = folder / "test", test);
    options.out = folder / "corpus";
    prepare_corpus(options);
    return Corpus::open(options.out);
  }
};

/// The loss of the last of `ids`, after all the others from empty memory.
double loss_of_last(const Transformer& model, const std::vector<int32_t>& ids) {
  const auto n = static_cast<int64_t>(ids.size());
  const Tensor inputs = Tensor::of({n - 1, 1}, std::span(ids).first(ids.size() - 1));
  const Tensor p = model.predict(inputs, model.fresh_memory(1)).log_probabilities;
  return -p.data()[(n - 2) * model.config().vocabulary + ids.back()];
}

TEST_CASE("a text and the part of a corpus that was made from it have the same score") {
  for (const TextFormat format :
       {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8, TextFormat::words}) {
    for (const Newline newline : {Newline::keep, Newline::drop}) {
      const bool can_drop = format == TextFormat::enwik8 || format == TextFormat::text8;
      if (newline == Newline::drop && !can_drop) continue;
      CAPTURE(name(format));
      CAPTURE(name(newline));
      const Place place({format, newline});
      const PartEvaluation part = evaluate_part(place.loaded, place.corpus, Part::test);
      const TextScore found = place.score(place.test);
      CHECK(found.whole.nats == Approx(part.score.nats).epsilon(1e-9));
      CHECK(found.whole.tokens == part.tokens);
      CHECK(found.not_scored == 1);
      CHECK(found.whole.unknown == 0);
      CHECK(found.whole.bytes == static_cast<int64_t>(place.test.size()));
      CHECK(found.whole.bits_per_byte().has_value() == part.score.bits_per_byte().has_value());
      if (!part.score.bits_per_byte()) continue;
      // Words are weighed by the part's bytes all in all, and here each by its own.
      const double bound = format == TextFormat::words ? 0.01 : 1e-9;
      CHECK(*found.whole.bits_per_byte() == Approx(*part.score.bits_per_byte()).epsilon(bound));

      const TextScore other = place.score(place.test, {.shape = {.rows = 3, .block = 5}});
      CHECK(other.whole.nats == Approx(found.whole.nats).epsilon(1e-6));
    }
  }
}

TEST_CASE("lines add up to the whole, and each is what its tokens cost") {
  const Place place({TextFormat::enwik8});
  const std::string text = "abc\n\nfed";
  const TextScore found = place.score(text);
  REQUIRE(found.lines.size() == 3);
  const auto ids = encode_lines(text, place.corpus.vocabulary(), {TextFormat::enwik8}, false).ids;
  std::vector<double> losses = {0};
  for (size_t i = 1; i < ids.size(); ++i) {
    losses.push_back(
        loss_of_last(*place.loaded.model, {ids.begin(), ids.begin() + static_cast<long>(i) + 1}));
  }
  CHECK(found.lines[0].nats == Approx(losses[1] + losses[2] + losses[3]));
  CHECK(found.lines[0].tokens == 3);
  CHECK(found.lines[0].bytes == 4);
  CHECK(found.lines[0].scored_bytes == 3);  // "a" has no context
  CHECK(*found.lines[0].bits_per_byte() == Approx(found.lines[0].nats / (3 * std::numbers::ln2)));
  CHECK(found.lines[1].nats == Approx(losses[4]));
  CHECK(found.lines[2].nats == Approx(losses[5] + losses[6] + losses[7] + losses[8]));
  CHECK(found.lines[2].bytes == 3);
  CHECK(found.lines[2].tokens == 4);  // the end that was added, too
  CHECK(found.whole.nats ==
        Approx(found.lines[0].nats + found.lines[1].nats + found.lines[2].nats));
  CHECK(found.whole.bytes == 8);
}

TEST_CASE("lines by themselves are scored from empty memory after an end of a line") {
  const Place place({TextFormat::enwik8});
  const TextScore found = place.score("abc\nabc\nab\n", {.independent = true});
  REQUIRE(found.lines.size() == 3);
  CHECK(found.not_scored == 0);
  CHECK(found.lines[0].tokens == 4);
  CHECK(found.lines[0].nats == Approx(found.lines[1].nats));
  const auto id = [&](const char* token) { return *place.corpus.vocabulary().find(token); };
  const int32_t eol = id("\n");
  const Transformer& model = *place.loaded.model;
  const double expected = loss_of_last(model, {eol, id("a")}) +
                          loss_of_last(model, {eol, id("a"), id("b")}) +
                          loss_of_last(model, {eol, id("a"), id("b"), eol});
  CHECK(found.lines[2].nats == Approx(expected));
  CHECK(place.score("abc\nabc\n").lines[1].nats != Approx(found.lines[1].nats));
}

TEST_CASE("without an end of a line in the vocabulary a line's first token has no context") {
  const Place place({TextFormat::enwik8, Newline::drop});
  const TextScore found = place.score("abc\nabc\na\n", {.independent = true});
  CHECK(found.not_scored == 3);
  CHECK(found.whole.tokens == 4);
  CHECK(found.lines[0].nats == Approx(found.lines[1].nats));
  CHECK(found.lines[2].tokens == 0);
  CHECK_FALSE(found.lines[0].bits_per_byte().has_value());  // newlines are no part of it
}

TEST_CASE("how lines are put together changes nothing") {
  const Place place({TextFormat::words});
  const TextScore one =
      place.score(place.test, {.independent = true, .shape = {.rows = 1, .block = 3}});
  for (const EvaluationShape& shape :
       {EvaluationShape{}, EvaluationShape{.rows = 7}, EvaluationShape{.rows = 1000, .block = 1}}) {
    const TextScore found = place.score(place.test, {.independent = true, .shape = shape});
    CHECK(found.whole.nats == Approx(one.whole.nats).epsilon(1e-6));
    for (size_t l = 0; l < one.lines.size(); ++l) {
      CHECK(found.lines[l].nats == Approx(one.lines[l].nats).epsilon(1e-5));
    }
  }
}

TEST_CASE("what the corpus does not have costs nothing, and is counted") {
  const Place place({TextFormat::enwik8});
  const TextScore without = place.score("abc\nfed\n");
  const TextScore with = place.score(
      "a\xe2\x82\xac"
      "bc\nf!ed\n");
  CHECK(with.whole.nats == without.whole.nats);
  CHECK(with.whole.scored_bytes == without.whole.scored_bytes);
  CHECK(with.whole.bytes == without.whole.bytes + 4);
  CHECK(with.lines[0].unknown == 1);
  CHECK(with.lines[1].unknown == 1);
  CHECK(with.whole.unknown == 2);
}

TEST_CASE("an unknown word is read as <unk>, but not scored") {
  const Place place({TextFormat::words}, /*minimum_count=*/2);
  const Vocabulary& vocabulary = place.corpus.vocabulary();
  const int32_t unk = *vocabulary.unknown(), eol = *vocabulary.end_of_line();
  int32_t id = 0;
  while (id == unk || id == eol) ++id;
  const std::string known(vocabulary.text(id));
  const TextScore found = place.score(known + " nevermet " + known + "\n");
  CHECK(found.whole.unknown == 1);
  CHECK(found.whole.tokens == 2);  // the word after it, and the end of the line
  CHECK(found.whole.nats == Approx(loss_of_last(*place.loaded.model, {id, unk, id}) +
                                   loss_of_last(*place.loaded.model, {id, unk, id, eol})));
  CHECK(found.whole.scored_bytes == static_cast<int64_t>(known.size()) + 1);
}

TEST_CASE("a text with nothing to score is refused") {
  const Place place({TextFormat::enwik8});
  const auto refuse = [&](std::string_view text, bool independent = false) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(place.score(text, {.independent = independent}),
                         Contains("[score] expected a text with a token to score"), Error);
  };
  refuse("");
  refuse("", true);
  refuse("\n");
  refuse("!!\n");
  CHECK(place.score("\n", {.independent = true}).whole.tokens == 1);
  CHECK(place.score("a").whole.tokens == 1);  // the end that is added
  CHECK_THROWS_WITH_AS(
      Place({TextFormat::enwik8, Newline::drop}).score("a\nb\n", {.independent = true}),
      Contains("got none in the text (4 bytes)"), Error);
}

TEST_CASE("a loss that is no number is refused") {
  const Place place({TextFormat::enwik8});
  for (Parameter* p : place.loaded.model->parameters().all()) {
    if (p->name().ends_with("norm2.bias")) p->value().data()[0] = NAN;
  }
  CHECK_THROWS_WITH_AS(place.score("abc\n"), Contains("[score] expected a finite loss on the text"),
                       Error);
}

}  // namespace
}  // namespace adaspan
