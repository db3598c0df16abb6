// A layer over all steps.
#pragma once

#include "layer.h"

namespace rnngen {

constexpr long FAR = 1 << 20;  // numbers that are more than a core's own cache holds
constexpr long FEW = 4;        // features of the input that are added row by row

// sums `[n, SLOTS * vectors * L]` of a block: bias, input and recurrent product of n rows.
template <class Cell>
void add_up(const Layer<Cell>& layer, const float* x, const float* h, long n, long unit, long vectors, float* sums) {
  const Sizes& s = layer.size;
  const long width = vectors * L, wide = Cell::SLOTS * width, across = Cell::XN * width;
  const float *bias = &layer.bias[unit * Cell::SLOTS], *kernel = layer.kernel.data() + s.d * unit * Cell::XN;
  for (long r = 0; r < n; r++) {
    float* const to = sums + r * wide;
    for (long i = 0; i < wide; i += L) store(to + i, load(bias + i));
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

// Rows [first, first + n) of the batch through all steps. kept: null where nothing is kept for a way back.
template <class Cell>
void forward_share(const Layer<Cell>& layer, const float* xs, const float* h0, const float* c0, Probes probes,
                   Flags flags, float* hs, float* kept, float* c_last, long first, long n) {
  const Sizes s = layer.size;
  const long wide = s.padded * Cell::KEPT;
  const bool far = s.t * s.b * wide > FAR;
  Floats before(n * s.padded), after(before), c(before), c_before, sums(n * Cell::SLOTS * Cell::VECTORS * L);
  if (c_last) copy_rows(c.data(), s.padded, c0 + first * s.h, s.h, s.h, n);
  for (long t = 0; t < s.t; t++) {
    const float* x = xs + (t * s.b + first) * s.d;
    float *keep = kept ? kept + (t * s.b + first) * wide : nullptr, *out = hs + (t * s.b + first) * s.h;
    const auto from = [&](long r) { return entering(flags, h0, hs, s, t, first + r); };
    const float* h = whole_rows(from, flags.resets, s, n, before, row(probes.h, s, t, first));
    float* h_new = s.h == s.padded ? out : after.data();
    for (long r = 0; c_last && r < n; r++)
      if (starts(flags, s, t, first + r)) copy_rows(&c[r * s.padded], 0, flags.c + (first + r) * s.h, 0, s.h, 1);
    add_rows(c.data(), s.padded, row(probes.c, s, t, first), s.h, n);
    if (flags.mask && c_last) c_before = c;
    blocks<Cell>(s, [&](long unit, long vectors) {
      add_up(layer, x, h, n, unit, vectors, sums.data());
      for (long r = 0; r < n; r++)
        for (long v = 0; v < vectors; v++) {
          const long u = unit + v * L, at = r * s.padded + u;
          const Slots<const float> parts{&sums[r * Cell::SLOTS * vectors * L + v * L], vectors * L};
          Cell::forward(parts, h + at, &c[at], h_new + at, {keep ? keep + r * wide + u * Cell::KEPT : nullptr, far});
        }
    });
    for (long r = 0; r < n; r++)
      if (idle(flags, s, t, first + r)) {
        copy_rows(h_new + r * s.padded, 0, h + r * s.padded, 0, s.padded, 1);
        if (c_last) copy_rows(&c[r * s.padded], 0, &c_before[r * s.padded], 0, s.padded, 1);
        for (long unit = 0; c_last && keep && unit < s.padded; unit += L)
          store(keep + r * wide + unit * Cell::KEPT + C_KEPT * L, load(&c[r * s.padded + unit]));
      }
    if (h_new != out) copy_rows(out, s.h, h_new, s.padded, s.h, n);
  }
  if (c_last) copy_rows(c_last + first * s.h, s.h, c.data(), s.padded, s.h, n);
  settle();
}

}  // namespace rnngen
