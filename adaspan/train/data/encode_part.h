// SPDX-License-Identifier: MIT
// The second reading of a text: its tokens become the ids of a vocabulary that has them all.
#pragma once

#include <adaspan/train/data/source_text.h>
#include <adaspan/train/data/token_file.h>
#include <adaspan/train/data/vocabulary.h>

namespace adaspan {

/// Gives the ids of a part of a corpus to `sink`, in blocks, with the end of a line that its
/// reading adds; words that the vocabulary lacks become its unknown(). Throws Error when the text
/// changes meanwhile.
void encode_part(const PartOfText& part, const Reading& reading, const Vocabulary& vocabulary,
                 const IdSink& sink);

}  // namespace adaspan
