// SPDX-License-Identifier: MIT
// Random numbers without a state: number i of a stream is a function of the stream's key and i, so
// a mask can be recomputed instead of stored, and neither thread count nor batch split changes it.
// Generator: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>

namespace adaspan {

/// What a stream is for; streams of different purposes never overlap.
enum class Purpose : uint32_t { initialisation, dropout, data_offset, sampling, benchmark };

/// Names one stream. `site` tells apart streams of one purpose and step: those of a model's
/// parameters, or of its places of dropout (adaspan/models/random_sites.h).
struct RandomKey {
  uint64_t seed = 0;
  Purpose purpose = Purpose::initialisation;
  uint32_t step = 0;
  uint32_t site = 0;  ///< below 2^24
};

/// One round trip of the generator: 4 independent 32-bit numbers.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

/// Numbers 4i .. 4i+3 of a stream.
inline std::array<uint32_t, 4> random_group(const RandomKey& key, uint64_t i) {
  return philox({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), key.step,
                 static_cast<uint32_t>(key.purpose) << 24 | key.site},
                {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
}

/// Number i of a stream, uniform over all 32-bit values.
uint32_t random_bits(const RandomKey& key, uint64_t i);
/// Number i of a stream, uniform in [0, 1).
double random_uniform(const RandomKey& key, uint64_t i);
/// Number i of a stream, from the standard normal distribution (Box-Muller).
double random_normal(const RandomKey& key, uint64_t i);

}  // namespace adaspan
