// SPDX-License-Identifier: MIT
#pragma once

#include <adaspan/train/data/text_format.h>
#include <adaspan/train/run/training_config.h>

namespace adaspan {

/// What a person is told that losses are in: "bpc" where tokens are bytes or characters, "bits per
/// token" of words; "ppl".
inline const char* unit_text(DataUnit unit, TextFormat format) {
  const bool of_words = format == TextFormat::words && unit == DataUnit::bpc;
  return of_words ? "bits per token" : name(unit);
}

}  // namespace adaspan
