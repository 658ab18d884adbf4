// SPDX-License-Identifier: MIT
#include "adaspan/train/data/staging_folder.h"

#include <system_error>

#include "adaspan/core/error.h"
#include "adaspan/train/data/corpus.h"

namespace adaspan {
namespace {

std::filesystem::path made(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error,
          "[prepare] expected to write in {}; got: {}; choose another folder for the corpus",
          path.parent_path().string(), error.message());
  return path;
}

void move_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  require(!error, "[prepare] expected to replace {}; got: {}; remove it, or choose another folder",
          to.string(), error.message());
}

}  // namespace

StagingFolder::StagingFolder(const std::filesystem::path& corpus)
    : path_(made(corpus / ".unfinished-corpus")), alone_(path_) {}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void StagingFolder::move_to(const std::filesystem::path& corpus) const {
  move_file(vocabulary_path(path_), vocabulary_path(corpus));
  for (const Part part : kParts) move_file(token_path(path_, part), token_path(corpus, part));
  move_file(corpus_record_path(path_), corpus_record_path(corpus));
}

}  // namespace adaspan
