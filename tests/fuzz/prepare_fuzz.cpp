// SPDX-License-Identifier: MIT
// A text in each of the formats.
#include "adaspan/train/data/prepare.h"

#include <cassert>
#include <string>
#include <vector>

#include "adaspan/core/file.h"
#include "adaspan/train/data/corpus.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace adaspan {
namespace {

/// What a corpus holds of its three parts.
std::string text_of(const Corpus& corpus) {
  std::string text;
  for (const Part part : {Part::train, Part::valid, Part::test}) {
    const TokenFile& file = corpus.part(part);
    std::vector<int32_t> ids(static_cast<size_t>(file.size()));
    file.read(0, file.size(), ids.data());
    text += corpus.vocabulary().decode(ids, corpus.format());
  }
  return text;
}

}  // namespace

void read_input(std::string_view input) {
  static const TemporaryFolder folder;
  atomic_write(folder / "input", input);
  PrepareOptions options;
  options.input = folder / "input";
  options.out = folder / "corpus";
  options.split = {0.5, 0.25, 0.25};
  for (const TextFormat format :
       {TextFormat::bytes, TextFormat::enwik8, TextFormat::text8, TextFormat::words}) {
    options.format = format;
    options.minimum_count.reset();
    const bool of_lines = format == TextFormat::enwik8 || format == TextFormat::text8;
    options.newline = of_lines && input.size() % 5 < 2 ? Newline::drop : Newline::keep;
    if (format == TextFormat::words && input.size() % 3 == 0) options.minimum_count = 2;
    options.order =
        input.size() % 2 == 0 ? VocabularyOrder::first_seen : VocabularyOrder::falling_count;
    allow_error([&] {
      prepare_corpus(options);
      const std::string text = text_of(Corpus::open(options.out));
      assert(format != TextFormat::bytes || text == input);
      assert(prepare_corpus(options).up_to_date);
    });
  }
}

}  // namespace adaspan
