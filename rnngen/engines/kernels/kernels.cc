// The rnn, gru and lstm of rnngen as compiled loops: one call runs a layer over all steps, forward or backward; and
// the recurrence that affine cells come down to.
//
// A step multiplies a few rows of the batch by the gates of a few units at a time and applies the nonlinearities while
// the sums are still in registers. Backward, a chunk of steps leaves the gradients of its sums behind, and one product
// over the whole chunk gives the weights theirs. The batch is cut into shares that run side by side; how many depends
// on the batch alone, so that the number of threads changes no bit. Weights come prepared, with halves folded into all
// sigmoids: sigmoid(x) = tanh(x/2)/2 + 1/2.
#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "backward.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using namespace rnngen;
namespace {

// Move a thread off this core, where a system may put it at first, to wait for the one that goes on; then let it run
// anywhere.
void send_away(std::thread& other) {
#ifdef __linux__
  cpu_set_t all, others;
  if (pthread_getaffinity_np(pthread_self(), sizeof all, &all)) return;
  others = all;
  CPU_CLR(sched_getcpu(), &others);
  if (!CPU_COUNT(&others)) return;
  pthread_setaffinity_np(other.native_handle(), sizeof others, &others);
  pthread_setaffinity_np(other.native_handle(), sizeof all, &all);
#endif
}

// f(share, its first row, its rows), on so many threads, or as many as there may be, where they are worth starting.
// False where memory ran out.
template <class F>
bool share_out(const Sizes& s, long shares, long threads, F f) {
  const long b = s.b;
  if (s.t * s.b * s.h * (s.d + s.h) < 1 << 21) threads = 1;
  std::atomic<long> next{0};
  std::atomic<bool> good{true};
  const auto work = [&] {
    try {
      for (long i; (i = next++) < shares;) f(i, b * i / shares, b * (i + 1) / shares - b * i / shares);
    } catch (const std::bad_alloc&) {
      good = false;
    }
  };
  std::vector<std::thread> others;
  try {
    for (long i = 1; i < std::min(threads, shares); i++) send_away(others.emplace_back(work));
  } catch (const std::system_error&) {
  }
  work();
  for (std::thread& other : others) other.join();
  return good;
}

// f(), which says whether there was memory enough for it, or throws.
template <class F>
ffi::Error guarded(F f) {
  bool good = false;
  try {
    good = f();
  } catch (const std::bad_alloc&) {
  }
  return good ? ffi::Error::Success() : ffi::Error(ffi::ErrorCode::kResourceExhausted, "out of memory in a layer");
}

using In = ffi::Buffer<ffi::F32>;
using Out = ffi::ResultBuffer<ffi::F32>;

Sizes sizes(const In& xs, const In& h0) {
  const auto x = xs.dimensions();
  const long h = h0.dimensions().back();
  return {x[0], x[1], x[2], h, whole(h)};
}

float* wanted(Out& out) { return out->element_count() ? out->typed_data() : nullptr; }
const float* given(const In& in) { return in.element_count() ? in.typed_data() : nullptr; }

template <class Cell>
ffi::Error run_forward(In xs, In kernel, In recurrent, In bias, In recurrent_bias, In h0, In c0, In probes_h,
                       In probes_c, In mask, In resets, In fresh_h, In fresh_c, Out hs, Out kept, Out c_last,
                       int64_t shares, int64_t threads) {
  const Sizes s = sizes(xs, h0);
  const Weights weights{given(kernel), given(recurrent), given(bias), given(recurrent_bias)};
  return guarded([&] {
    const Layer<Cell> layer(s, weights);
    return share_out(s, shares, threads, [&](long, long first, long n) {
      forward_share(layer, given(xs), given(h0), given(c0), {given(probes_h), given(probes_c)},
                    {given(mask), given(resets), given(fresh_h), given(fresh_c)}, wanted(hs), wanted(kept),
                    wanted(c_last), first, n);
    });
  });
}

template <class Cell>
ffi::Error run_backward(In xs, In kernel, In recurrent, In h0, In c0, In probes_h, In probes_c, In mask, In resets,
                        In fresh_h, In fresh_c, In hs, In kept, In dys, In dh, In dc, Out dkernel, Out drecurrent,
                        Out dbias, Out drecurrent_bias, Out dh0, Out dc0, Out dxs, Out dprobes_h, Out dprobes_c,
                        Out dfresh_h, Out dfresh_c, int64_t shares, int64_t threads) {
  const Sizes s = sizes(xs, h0);
  const Backward io{given(xs), given(h0), given(c0), given(hs), given(kept), given(dys), given(dh), given(dc),
                    {given(probes_h), given(probes_c)},
                    {given(mask), given(resets), given(fresh_h), given(fresh_c)},
                    wanted(dh0), wanted(dc0), wanted(dxs), wanted(dprobes_h), wanted(dprobes_c), wanted(dfresh_h),
                    wanted(dfresh_c)};
  return guarded([&] {
    const Floats back = transposed<Cell, false>(s, given(recurrent), s.h);
    const Floats input_back = wanted(dxs) ? transposed<Cell, true>(s, given(kernel), s.d) : Floats();
    std::vector<Gradients> parts(shares);
    const bool good = share_out(s, shares, threads, [&](long i, long first, long n) {
      backward_share<Cell>(s, back, input_back, io, parts[i], first, n);
    });
    if (good) collect<Cell>(s, parts, wanted(dkernel), wanted(drecurrent), wanted(dbias), wanted(drecurrent_bias));
    return good;
  });
}

ffi::Error run_linear(In a, In b, In first, Out carries) {
  const long n = first.element_count(), steps = n ? a.element_count() / n : 0;
  const float* before = given(first);
  for (long t = 0; t < steps; t++) {
    const float *factor = given(a) + t * n, *offset = given(b) + t * n;
    float* const now = wanted(carries) + t * n;
    for (long j = 0; j < n; j++) now[j] = factor[j] * before[j] + offset[j];
    before = now;
  }
  return ffi::Error::Success();
}

// a [t, ...], b [t, ...], the first c [...] -> every c = a c + b.
auto linear_binding() { return ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Ret<In>(); }

// xs [t, b, d], kernel, recurrent kernel, bias, recurrent bias, h0, c0, probes of h and c [t, b, h], mask and resets
// [t, b], h and c after a reset [b, h] -> the h [t, b, h] that leaves each step, kept, the last c. Empty is what the
// cell does not have, and what is not given.
auto forward_binding() {
  auto some = ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>();
  auto all = std::move(some).Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>();
  return std::move(all).Ret<In>().Ret<In>().Ret<In>().Attr<int64_t>("shares").Attr<int64_t>("threads");
}

// xs, kernel, recurrent kernel, h0, c0, probes, mask, resets, h and c after a reset, hs, kept, dys, dh and dc of the
// last step -> gradients in kernel, recurrent kernel, bias, recurrent bias, h0, c0, xs, probes, h and c after a reset;
// an empty one is not wanted.
auto backward_binding() {
  auto some = ffi::Ffi::Bind().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>();
  auto more = std::move(some).Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>().Arg<In>();
  auto all = std::move(more).Ret<In>().Ret<In>().Ret<In>().Ret<In>().Ret<In>().Ret<In>();
  auto most = std::move(all).Ret<In>().Ret<In>().Ret<In>().Ret<In>().Ret<In>();
  return std::move(most).Attr<int64_t>("shares").Attr<int64_t>("threads");
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_forward, run_forward<Lstm>, forward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_backward, run_backward<Lstm>, backward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(gru_forward, run_forward<Gru>, forward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(gru_backward, run_backward<Gru>, backward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnn_forward, run_forward<Rnn<1>>, forward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnn_backward, run_backward<Rnn<1>>, backward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(linear_recurrence, run_linear, linear_binding());
