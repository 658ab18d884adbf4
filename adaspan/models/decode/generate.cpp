// SPDX-License-Identifier: MIT
#include "adaspan/models/decode/generate.h"

#include <algorithm>

#include "adaspan/core/error.h"
#include "adaspan/core/random.h"

namespace adaspan {

void generate(Decoder& decoder, std::span<const int32_t> prompt, const GenerateOptions& options,
              const OnToken& on_token) {
  require(!prompt.empty(), "[generate] expected a prompt of at least one token; got none");
  require(options.length >= 0, "[generate] expected generate.length of at least 0; got {}",
          options.length);
  check(options.sampling);
  if (options.length == 0) return;
  const Tensor* log_p = &decoder.read(prompt);
  const auto texts = static_cast<size_t>(log_p->shape()[0]);
  const auto V = static_cast<size_t>(log_p->shape()[1]);
  std::vector<int32_t> tokens(texts, prompt.back());
  std::vector<bool> goes_on(texts, true);
  for (int64_t i = 0;; ++i) {
    for (size_t n = 0; n < texts; ++n) {
      if (!goes_on[n]) continue;
      const RandomKey key{
          .seed = options.seed, .purpose = Purpose::sampling, .site = static_cast<uint32_t>(n)};
      const auto row = log_p->values().subspan(n * V, V);
      tokens[n] = draw(sampling_probabilities(row, options.sampling),
                       random_uniform(key, static_cast<uint64_t>(i)));
      goes_on[n] =
          on_token(static_cast<int64_t>(n), tokens[n], row[static_cast<size_t>(tokens[n])]);
    }
    if (i + 1 == options.length || std::ranges::find(goes_on, true) == goes_on.end()) return;
    log_p = &decoder.step(tokens);  // of texts that have ended, too: to nobody's harm
  }
}

std::vector<int32_t> generate(const Transformer& model, const std::vector<int32_t>& prompt,
                              const GenerateOptions& options) {
  Decoder decoder(model, {});
  std::vector<int32_t> drawn;
  generate(decoder, prompt, options, [&](int64_t, int32_t token, float) {
    drawn.push_back(token);
    return true;
  });
  return drawn;
}

}  // namespace adaspan
