// A layer over all steps.
#pragma once

#include "layer.h"

namespace rnngen {

constexpr long FAR = 1 << 20;  // numbers that are more than a core's own cache holds
constexpr long FEW = 4;        // features of the input that are added row by row

// sums `[n, SUMS * vectors * L]` of a block: their start, input and recurrent product of n rows. us: what is added for
// the input where it is not the input's product, `[n, X_GATES * h]`; null: nothing.
template <class Cell>
void add_up(const Layer<Cell>& layer, const float* x, const float* us, const float* h, long n, long unit, long vectors,
            float* sums) {
  const Sizes& s = layer.size;
  const long width = vectors * L, wide = Cell::SUMS * width, across = Cell::XN * width;
  const float *start = &layer.start[unit * Cell::SLOTS], *kernel = layer.kernel.data() + s.d * unit * Cell::XN;
  for (long r = 0; r < n; r++) {
    float* const to = sums + r * wide;
    for (long i = 0; i < wide; i += L) store(to + i, load(start + i));
    if (us)
      INPUT<Cell>.slots(s, unit, vectors, [&](long at, long from, long count) {
        add_rows(to + Cell::XF * width + at, 0, us + r * Cell::X_GATES * s.h + from, count, 1);
      });
    for (long k = 0; s.d <= FEW && k < s.d; k++) {
      const Vec left = all(x[r * s.d + k]);
      for (long i = 0; i < across; i += L) {
        float* const at = to + Cell::XF * width + i;
        store(at, load(at) + left * load(kernel + k * across + i));
      }
    }
  }
  const Product input{x, s.d, 1, 0, kernel, across, 0, s.d, 1};
  if (s.d > FEW) add_long_product(sums + Cell::XF * width, wide, n, Cell::XN * vectors, input);
  const float* recurrent = layer.recurrent.data() + s.h * unit * Cell::UN;
  const Product product{h, s.padded, 1, 0, recurrent, Cell::UN * width, 0, s.h, 1};
  add_long_product(sums + Cell::UF * width, wide, n, Cell::UN * vectors, product);
}

// Rows [first, first + n) of the batch through all steps. kept: the residuals; null where none are saved.
template <class Cell>
void forward_share(const Layer<Cell>& layer, const float* xs, const float* us, const float* h0, const float* c0,
                   Probes probes, Flags flags, float* hs, float* kept, float* c_last, long first, long n) {
  constexpr long C = Cell::CARRIES;
  const Sizes s = layer.size;
  const long wide = s.padded * Cell::KEPT;
  const bool far = s.t * s.b * wide > FAR;
  Floats before(n * s.padded), after(before), c(C * n * s.padded), c_before;
  Floats sums(n * Cell::SUMS * Cell::VECTORS * L);
  copy_rows(c.data(), s.padded, c0 + first * C * s.h, s.h, s.h, n * C);
  for (long t = 0; t < s.t; t++) {
    const float* x = xs + (t * s.b + first) * s.d;
    const float* u = us ? us + (t * s.b + first) * Cell::X_GATES * s.h : nullptr;
    float *keep = kept ? kept + (t * s.b + first) * wide : nullptr, *out = hs + (t * s.b + first) * s.h;
    const auto from = [&](long r) { return entering(flags, h0, hs, s, t, first + r); };
    const float* h = whole_rows(from, flags.resets, s, n, before, row(probes.h, s, t, first));
    float* h_new = s.h == s.padded ? out : after.data();
    for (long r = 0; C && r < n; r++)
      if (starts(flags, s, t, first + r))
        copy_rows(&c[r * C * s.padded], s.padded, flags.c + (first + r) * C * s.h, s.h, s.h, C);
    add_rows(c.data(), s.padded, row(probes.c, s, t, first, C), s.h, n * C);
    if (flags.mask) c_before = c;
    blocks<Cell>(s, [&](long unit, long vectors) {
      add_up(layer, x, u, h, n, unit, vectors, sums.data());
      for (long r = 0; r < n; r++)
        for (long v = 0; v < vectors; v++) {
          const long i = unit + v * L, at = r * s.padded + i;
          const Slots<const float> parts{&sums[r * Cell::SUMS * vectors * L + v * L], vectors * L};
          const Slots<const float> start{&layer.start[unit * Cell::SLOTS + v * L], vectors * L};
          const Slots<float> others{c.data() + r * C * s.padded + i, s.padded};
          const Room room{keep ? keep + r * wide + i * Cell::KEPT : nullptr, far};
          Cell::forward(parts, start, h + at, others, h_new + at, room);
        }
    });
    for (long r = 0; r < n; r++)
      if (idle(flags, s, t, first + r)) {
        copy_rows(h_new + r * s.padded, 0, h + r * s.padded, 0, s.padded, 1);
        for (long j = r * C; j < r * C + C; j++) {
          copy_rows(&c[j * s.padded], 0, &c_before[j * s.padded], 0, s.padded, 1);
          for (long unit = 0; keep && unit < s.padded; unit += L)
            store(keep + r * wide + unit * Cell::KEPT + (j - r * C) * L, load(&c[j * s.padded + unit]));
        }
      }
    if (h_new != out) copy_rows(out, s.h, h_new, s.padded, s.h, n);
  }
  copy_rows(c_last + first * C * s.h, s.h, c.data(), s.padded, s.h, n * C);
  settle();
}

}  // namespace rnngen
