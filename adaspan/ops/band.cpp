// SPDX-License-Identifier: MIT
// Three loops over the band, each other's gradients:
//   dots:    s[t,j] = q[t] . k[t+j]           dq = mix(ds, k)       dk = scatter(ds, q)
//   mix:     o[t] = sum_j a[t,j] v[t+j]       da = dots(do, v)      dv = scatter(a, do)
//   scatter: k[t+j] += s[t,j] q[t]
// Work is divided by sequence: all additions to one key stay with one thread, in the order of t.
#include "adaspan/ops/band.h"

#include "adaspan/core/error.h"
#include "adaspan/core/parallel.h"
#include "adaspan/ops/kernels/row_kernels.h"

namespace adaspan {
namespace {

struct Sizes {
  int64_t M, B, D, E;
};

/// Calls body(row, key): the row of [M,B] and that of its first key in [E+M,B]; both are t*B + b.
template <class Body>
void for_each_query(const Sizes& n, const Body& body) {
  parallel_for(n.B, [&](int64_t b) {
    for (int64_t t = 0; t < n.M; ++t) body(t * n.B + b);
  });
}

Tensor dots(const Tensor& q, const Tensor& k, const Sizes& n) {
  Tensor s({n.M, n.B, n.E});
  for_each_query(n, [&](int64_t row) {
    row_kernels().dots(s.data() + row * n.E, q.data() + row * n.D, k.data() + row * n.D, n.B * n.D,
                       n.E, n.D);
  });
  return s;
}

Tensor mix(const Tensor& a, const Tensor& v, const Sizes& n) {
  Tensor o({n.M, n.B, n.D});
  for_each_query(n, [&](int64_t row) {
    row_kernels().mix(o.data() + row * n.D, a.data() + row * n.E, v.data() + row * n.D, n.B * n.D,
                      n.E, n.D);
  });
  return o;
}

Tensor scatter(const Tensor& s, const Tensor& q, const Sizes& n) {
  Tensor k = Tensor::zeros({n.E + n.M, n.B, n.D});
  for_each_query(n, [&](int64_t row) {
    for (int64_t j = 0; j < n.E; ++j) {
      row_kernels().add_scaled(k.data() + (row + j * n.B) * n.D, s.data()[row * n.E + j],
                               q.data() + row * n.D, n.D);
    }
  });
  return k;
}

}  // namespace

Variable band_scores(Tape& tape, const Variable& q, const Variable& k) {
  require(q.shape().rank() == 3 && k.shape().rank() == 3 && k.shape()[0] > q.shape()[0] &&
              k.shape()[1] == q.shape()[1] && k.shape()[2] == q.shape()[2],
          "[band_scores] expected q [M,B,D] and k [E+M,B,D] with E of at least 1; got {} and {}",
          q.shape().text(), k.shape().text());
  const Sizes n{q.shape()[0], q.shape()[1], q.shape()[2], k.shape()[0] - q.shape()[0]};
  // saved: q for dk, k for dq
  return tape.record("band_scores", {q, k}, dots(q.value(), k.value(), n),
                     [dq = q.grad(), dk = k.grad(), q = q.shared_value(), k = k.shared_value(),
                      n](const Tensor& ds) {
                       if (dq.wanted()) dq.add(mix(ds, *k, n));
                       if (dk.wanted()) dk.add(scatter(ds, *q, n));
                     });
}

Variable band_mix(Tape& tape, const Variable& a, const Variable& v) {
  require(a.shape().rank() == 3 && v.shape().rank() == 3 && a.shape()[1] == v.shape()[1] &&
              v.shape()[0] == a.shape()[0] + a.shape()[2],
          "[band_mix] expected a [M,B,E] and v [E+M,B,D]; got {} and {}", a.shape().text(),
          v.shape().text());
  const Sizes n{a.shape()[0], a.shape()[1], v.shape()[2], a.shape()[2]};
  // saved: a for dv, v for da
  return tape.record("band_mix", {a, v}, mix(a.value(), v.value(), n),
                     [da = a.grad(), dv = v.grad(), a = a.shared_value(), v = v.shared_value(),
                      n](const Tensor& dout) {
                       if (da.wanted()) da.add(dots(dout, *v, n));
                       if (dv.wanted()) dv.add(scatter(*a, dout, n));
                     });
}

}  // namespace adaspan
