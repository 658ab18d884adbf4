// SPDX-License-Identifier: MIT
// The span mask (paper, equation 4): how far back a head looks, as something that can be learned.
//
//   m_z(u) = clamp((R + z - u) / R, 0, 1),   u = distance - 1
//
//   m 1 |--------------.
//       |               \             z: the learned span (in steps)
//     0 |________________\______      R: the ramp, over which the mask falls from 1 to 0
//       0              z  z+R   u
//
// The numbers that tell how far a head looks, S being the span limit; there are no others:
//
//   ratio      in [0, 1]                      what an adaptive head learns, and a checkpoint has
//   z          S ratio, in [0, S]             the span, in steps; "span" without more is this
//   reach      clamp(ceil(z) + R, 1, S)       steps that can have a weight above 0: what people are
//                                             told, and what costs are counted by
//   effective  clamp(floor(z + R) + 1, 1, S)  E, what the kernels compute: one more step for whole
//   span                                      z, of weight 0, which still moves z
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// How many steps back a head of span z can have any weight. `z` may be a mean over heads.
int64_t span_reach(double z, int64_t ramp, int64_t span_limit);

/// E: how many steps back a head of span z can have any weight or feel any gradient.
int64_t effective_span(float z, int64_t ramp, int64_t span_limit);

/// The mask over the last E steps; column j is distance E-j.
///   z: [1] (one span for all queries) -> [1,E], or [M,B,1] (one for each query) -> [M,B,E]
/// dm/dz = 1/R on the ramp, its ends included (0 <= (R+z-u)/R <= 1), and 0 elsewhere.
/// Throws Error for another shape or type, R < 1 or E < 1.
Variable span_mask(Tape& tape, const Variable& z, int64_t E, int64_t ramp);

/// What to add to scores [M,B,E] so that the first `missing` of the E steps before the block get no
/// weight: -1e30 at those, 0 elsewhere. No gradient.
Variable missing_steps(int64_t M, int64_t B, int64_t E, int64_t missing);

}  // namespace adaspan
