// A layer of a cell of rnngen, CELL in cells.h, as compiled loops: one call runs all steps, forward or backward.
//
// A step multiplies the rows of a share of the batch by the gates of a few units at a time, in sums that stay in
// registers, and applies the nonlinearities while they are still close. Backward, a chunk of steps leaves the gradients
// of its sums behind, and one product over the whole chunk gives the weights theirs. The shares of the batch run side by
// side; how many there are depends on the batch alone, so that the number of threads changes no bit. Weights come
// prepared, with halves folded into all sigmoids: sigmoid(x) = tanh(x/2)/2 + 1/2.
#include "backward.h"
#include "call.h"

using namespace rnngen;
namespace {

Sizes sizes(const Call& call, int h0) {
  const int64_t *xs = call.shape(0), *h = call.shape(h0);
  return {xs[0], xs[1], xs[2], h[1], whole(h[1])};
}

// How many threads are worth starting.
long threads(const Call& call, const Sizes& s) {
  return s.t * s.b * s.h * (s.d + s.h) < 1 << 21 ? 1 : call.attribute("threads");
}

bool run_forward(const Call& call) {
  const Sizes s = sizes(call, 5);
  const Layer<CELL> layer(s, {call.given(1), call.given(2), call.given(3), call.given(4)});
  const Flags flags{call.given(9), call.given(10), call.given(11), call.given(12)};
  return share_out(s.b, call.attribute("shares"), threads(call, s), [&](long, long first, long n) {
    forward_share(layer, call.given(0), call.given(5), call.given(6), {call.given(7), call.given(8)}, flags,
                  call.wanted(0), call.wanted(1), call.wanted(2), first, n);
  });
}

bool run_backward(const Call& call) {
  const Sizes s = sizes(call, 3);
  const long shares = call.attribute("shares");
  const Backward io{call.given(0), call.given(3), call.given(4), call.given(11), call.given(12), call.given(13),
                    call.given(14), call.given(15), {call.given(5), call.given(6)},
                    {call.given(7), call.given(8), call.given(9), call.given(10)},
                    call.wanted(4), call.wanted(5), call.wanted(6), call.wanted(7), call.wanted(8), call.wanted(9),
                    call.wanted(10)};
  const Floats back = transposed<CELL, CELL::UF, CELL::UN>(s, call.given(2), s.h);
  const Floats input = io.dxs ? transposed<CELL, CELL::XF, CELL::XN>(s, call.given(1), s.d) : Floats();
  std::vector<Gradients> parts(shares);
  const bool good = share_out(s.b, shares, threads(call, s), [&](long i, long first, long n) {
    backward_share<CELL>(s, back, input, io, parts[i], first, n);
  });
  if (good) collect<CELL>(s, parts, call.wanted(0), call.wanted(1), call.wanted(2), call.wanted(3));
  return good;
}

}  // namespace

// xs [t, b, d], kernel, recurrent kernel, bias, recurrent bias, h0, c0, probes of h and c [t, b, h], mask and resets
// [t, b], h and c after a reset [b, h] -> the h [t, b, h] that leaves each step, kept, the last c. Empty is what the
// cell does not have, what is not given, and what is not wanted.
extern "C" XLA_FFI_Error* forward(XLA_FFI_CallFrame* frame) { return answer(frame, run_forward); }

// xs, kernel, recurrent kernel, h0, c0, probes, mask, resets, h and c after a reset, hs, kept, dys, dh and dc of the
// last step -> gradients in kernel, recurrent kernel, bias, recurrent bias, h0, c0, xs, probes, h and c after a reset;
// an empty one is not wanted.
extern "C" XLA_FFI_Error* backward(XLA_FFI_CallFrame* frame) { return answer(frame, run_backward); }
