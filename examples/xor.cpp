// SPDX-License-Identifier: MIT
// Two layers learn XOR: the whole framework in one screen.
#include <cstdio>

#include <adaspan/models/parameter_store.h>
#include <adaspan/ops/cross_entropy.h>
#include <adaspan/ops/linear.h>
#include <adaspan/ops/process.h>
#include <adaspan/train/optim/optimizer.h>

using namespace adaspan;

int main() {
  open_process({.threads = 1});  // too little work to share
  const float inputs[] = {0, 0, 0, 1, 1, 0, 1, 1};
  const int32_t answers[] = {0, 1, 1, 0};
  const Variable x = Variable::constant(Tensor::of({4, 2}, inputs));  // 4 cases, 2 bits
  const Tensor targets = Tensor::of({4}, answers);

  ParameterStore store(/*seed=*/1);
  const Parameter& w1 = store.add("w1", /*site=*/0, {16, 2}, Initialiser::fan_in(2));
  const Parameter& b1 = store.add("b1", /*site=*/1, {16}, Initialiser::fan_in(2));
  const Parameter& w2 = store.add("w2", /*site=*/2, {2, 16}, Initialiser::fan_in(16));
  const Parameter& b2 = store.add("b2", /*site=*/3, {2}, Initialiser::fan_in(16));
  const auto optimizer = make_optimizer({.kind = OptimizerKind::adam}, store.all());

  float loss = 0;
  for (int step = 1; step <= 500; ++step) {
    Tape tape;
    const Variable h =
        linear(tape, x, w1.variable(), b1.variable(), {.activation = Activation::relu});
    const Variable logits = linear(tape, h, w2.variable(), b2.variable());
    const Variable nll = cross_entropy(tape, logits, targets);
    tape.backward(nll);
    optimizer->update(/*learning_rate=*/0.02, step);
    for (Parameter* p : store.all()) p->clear_grad();
    loss = nll.value().item();
    if (step % 100 == 0) std::printf("step %d  loss %.4f\n", step, loss);
  }
  return loss < 0.05f ? 0 : 1;
}
