// SPDX-License-Identifier: MIT
// The two products of attention when a query at time t sees the E steps before it and nothing else.
// Keys and values start E steps before the first query. Column j of a band is distance E-j: the
// last column is the step just before the query, which never sees itself.
#pragma once

#include <adaspan/autograd/tape.h>

namespace adaspan {

/// s[t,b,j] = q[t,b,:] . k[t+j,b,:]
///   q [M,B,D], k [E+M,B,D] -> s [M,B,E]
/// Throws Error when the shapes do not fit or E is below 1.
Variable band_scores(Tape& tape, const Variable& q, const Variable& k);

/// o[t,b,:] = sum_j a[t,b,j] v[t+j,b,:]
///   a [M,B,E], v [E+M,B,D] -> o [M,B,D]
/// Throws Error when the shapes do not fit.
Variable band_mix(Tape& tape, const Variable& a, const Variable& v);

}  // namespace adaspan
