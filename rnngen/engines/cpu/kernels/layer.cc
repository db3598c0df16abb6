// A layer of a cell, whose struct is in the file that CELL names, as compiled loops: one call runs all steps, forward or
// backward.
//
// A step multiplies the rows of a share of the batch by the gates of a few units at a time, in sums that stay in
// registers, and applies the nonlinearities while they are still close. Backward, a chunk of steps leaves the gradients
// of its sums behind, and one product over the whole chunk gives the weights theirs. The shares of the batch run side by
// side; how many there are depends on the batch alone, so that the number of threads changes no bit.
#include "backward.h"
#include "call.h"
#include CELL

using namespace rnngen;
namespace {

typedef Generated Cell;

Sizes sizes(const Call& call, int h0) {
  const int64_t *xs = call.shape(0), *h = call.shape(h0);
  return {xs[0], xs[1], call.given(2) ? call.shape(2)[0] : 0, h[1], whole(h[1])};
}

// How many threads are worth starting.
long threads(const Call& call, const Sizes& s) {
  return s.t * s.b * s.h * (s.d + s.h) < 1 << 21 ? 1 : call.attribute("threads");
}

// The input where it is multiplied by a kernel, else what is added for it.
struct Input {
  const float *xs, *us;
  Input(const Call& call) : xs(call.given(2) ? call.given(0) : nullptr), us(xs ? nullptr : call.given(0)) {}
};

bool run_forward(const Call& call) {
  const Sizes s = sizes(call, 4);
  const Layer<Cell> layer(s, {call.given(2), call.given(3), call.given(1)});
  const Input in(call);
  const Flags flags{call.given(8), call.given(9), call.given(10), call.given(11)};
  return share_out(s.b, call.attribute("shares"), threads(call, s), [&](long, long first, long n) {
    forward_share(layer, in.xs, in.us, call.given(4), call.given(5), {call.given(6), call.given(7)}, flags,
                  call.wanted(0), call.wanted(1), call.wanted(2), first, n);
  });
}

bool run_backward(const Call& call) {
  const Sizes s = sizes(call, 4);
  const Input in(call);
  const long shares = call.attribute("shares");
  float *dxs = in.xs ? call.wanted(5) : nullptr, *dus = in.us ? call.wanted(5) : nullptr;
  const Backward io{in.xs, call.given(4), call.given(5), call.given(12), call.given(13), call.given(14), call.given(15),
                    call.given(16), {call.given(6), call.given(7)},
                    {call.given(8), call.given(9), call.given(10), call.given(11)},
                    call.wanted(3), call.wanted(4), dxs, dus, call.wanted(6), call.wanted(7), call.wanted(8),
                    call.wanted(9), call.given(17), call.attribute("keep_norm") != 0};
  const Floats back = transposed(s, RECURRENT<Cell>, call.given(3), s.h), begin = starts<Cell>(s, call.given(1));
  const Floats input = dxs ? transposed(s, INPUT<Cell>, call.given(2), s.d) : Floats();
  std::vector<Gradients> parts(shares);
  const bool good = share_out(s.b, shares, threads(call, s), [&](long i, long first, long n) {
    backward_share<Cell>(s, back, input, begin, io, parts[i], first, n);
  });
  if (good) collect<Cell>(s, parts, call.wanted(0), call.wanted(1), call.wanted(2));
  return good;
}

}  // namespace

// xs [t, b, d], what the sums start from [slots * h], kernel, recurrent kernel, h0 [b, h], c0 [b, carries, h], probes of
// h and c, those with a leading t, mask and resets [t, b], h and c after a reset -> the h [t, b, h] that leaves each
// step, residuals, the last c. Arrays that the cell does not have, or that are not given or wanted, are empty. Without
// a kernel, xs is its product.
extern "C" XLA_FFI_Error* forward(XLA_FFI_CallFrame* frame) { return answer(frame, run_forward); }

// The same arguments, hs, residuals, dys, dh and dc of the last step, factors of a credit -> gradients in kernel,
// recurrent kernel, start, h0, c0, xs, probes, h and c after a reset; an empty one is not wanted.
extern "C" XLA_FFI_Error* backward(XLA_FFI_CallFrame* frame) { return answer(frame, run_backward); }
