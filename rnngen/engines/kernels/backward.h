// The gradients of a layer, the steps gone through from the last to the first.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "forward.h"

namespace rnngen {

// What a share of the batch adds to the gradients of the weights, panel after panel as in `Layer`.
struct Gradients {
  Floats recurrent, kernel, bias;
};

struct Backward {
  const float *xs, *h0, *c0, *hs, *kept, *dys, *dh_last, *dc_last;
  Probes probes;
  Flags flags;
  float *dh0, *dc0, *dxs, *dprobes_h, *dprobes_c, *dfresh_h, *dfresh_c;  // null where not wanted
};

constexpr long CHUNK = 256;  // rows times steps whose products are taken at once

// a(i, r): row r, of `width`, of the n of step i of a chunk, more(i): what is added to them (null: nothing), dz: its
// panels, most: how many rows a panel has. Adds (a + more)^T dz to panels like those of the weights.
template <class Cell, bool INPUT, class Step, class More>
void add_product(const Sizes& s, Step a, More more, long n, long width, const Floats& dz, long most, long count,
                 Floats& out) {
  // In the order in which it is read: a few columns of a at a time, one step after another.
  Floats read(count * width);
  rows(width, [&](auto many, long row) {
    constexpr int R = decltype(many)::value;
    float* to = &read[row * count];
    for (long i = 0; i < count / n; i++)
      for (long r = 0; r < n; r++, to += R) {
        const float *from = a(i, r) + row, *add = more(i);
        std::memcpy(to, from, R * sizeof(float));
        for (int j = 0; add && j < R; j++) to[j] += add[r * width + row + j];
      }
  });
  blocks(Cell{}, s.padded, [&](auto cell, long unit) {
    using C = decltype(cell);
    constexpr int F = INPUT ? C::XF : C::UF, N = INPUT ? C::XN : C::UN;
    rows(width, [&](auto many, long row) {
      constexpr int R = decltype(many)::value;
      float* to = &out[width * unit * N * L / C::UNITS + row * N * L];
      Vec sums[R][N];
      for (int r = 0; r < R; r++)
        for (int v = 0; v < N; v++) sums[r][v] = load(to + (r * N + v) * L);
      const float* right = &dz[most * unit * A_UNIT(SLOTS)] + F * L;
      multiply<R, N, 0, N>(sums, &read[row * count], 1, R, right, C::SLOTS * L, count);
      for (int r = 0; r < R; r++)
        for (int v = 0; v < N; v++) store(to + (r * N + v) * L, sums[r][v]);
    });
  });
}

// to `[n, whole(width)]` += dz W^T, for n rows of the chunk from `at` on.
template <class Cell, bool INPUT>
void add_through(const Sizes& s, const Floats& dz, long most, long at, long n, const Floats& back, long width,
                 float* to) {
  constexpr long a_unit = INPUT ? A_UNIT(XN) : A_UNIT(UN);
  vectors(whole(width), [&](auto many, long first) {
    constexpr int N = decltype(many)::value;
    rows(n, [&](auto count, long row) {
      constexpr int R = decltype(count)::value;
      Vec sums[R][N];
      for (int r = 0; r < R; r++)
        for (int v = 0; v < N; v++) sums[r][v] = load(to + (row + r) * whole(width) + first + v * L);
      blocks(Cell{}, s.padded, [&](auto cell, long unit) {
        using C = decltype(cell);
        constexpr int F = INPUT ? C::XF : C::UF, M = INPUT ? C::XN : C::UN, S = C::SLOTS;
        multiply<R, N, 0, N>(sums, &dz[most * unit * A_UNIT(SLOTS)] + ((at + row) * S + F) * L, S * L, 1,
                             &back[(first * s.padded + unit * N * L) * a_unit], N * L, M * L);
      });
      for (int r = 0; r < R; r++)
        for (int v = 0; v < N; v++) store(to + (row + r) * whole(width) + first + v * L, sums[r][v]);
    });
  });
}

// Adds the sum of dz over a chunk to the bias's panels.
template <class Cell>
void add_sum(const Sizes& s, const Floats& dz, long most, long count, Floats& out) {
  blocks(Cell{}, s.padded, [&](auto cell, long unit) {
    using C = decltype(cell);
    float* to = &out[unit * A_UNIT(SLOTS)];
    for (int v = 0; v < C::SLOTS; v++) {
      Vec sum = load(to + v * L);
      for (long k = 0; k < count; k++) sum += load(&dz[most * unit * A_UNIT(SLOTS)] + (k * C::SLOTS + v) * L);
      store(to + v * L, sum);
    }
  });
}

// Row r of the gradients `from` moves to those of `to`, where it is added.
inline void hand_over(float* to, float* from, const Sizes& s, long r) {
  for (long i = 0; i < s.h; i++) to[r * s.h + i] += from[r * s.padded + i];
  std::memset(from + r * s.padded, 0, s.padded * sizeof(float));
}

// Rows [first, first + n) of the batch back through all steps.
template <class Cell>
void backward_share(const Sizes& s, const Floats& back, const Floats& input_back, const Backward& io, Gradients& out,
                    long first, long n) {
  const long p = s.padded, wide = p * A_UNIT(KEPT), steps = std::max(1L, std::min(s.t, CHUNK / n)), most = steps * n;
  Floats dh(n * p), dc(dh), rooms[5] = {dh, dh, dh, dh, dh}, dz(most * p * A_UNIT(SLOTS));
  Floats dx(io.dxs ? most * whole(s.d) : 0);
  out.recurrent.resize(s.h * p * A_UNIT(UN)), out.kernel.resize(s.d * p * A_UNIT(XN));
  out.bias.resize(p * A_UNIT(SLOTS));
  copy_rows(dh.data(), p, io.dh_last + first * s.h, s.h, s.h, n);
  if (io.dc0) copy_rows(dc.data(), p, io.dc_last + first * s.h, s.h, s.h, n);
  if (io.dfresh_h) std::memset(io.dfresh_h + first * s.h, 0, n * s.h * sizeof(float));
  if (io.dfresh_c) std::memset(io.dfresh_c + first * s.h, 0, n * s.h * sizeof(float));
  Floats fresh_c(io.dfresh_c ? n * p : 0);
  if (io.dfresh_c) copy_rows(fresh_c.data(), p, io.flags.c + first * s.h, s.h, s.h, n);
  for (long end = s.t; end > 0;) {
    const long start = std::max(0L, end - steps), count = (end - start) * n;
    for (long t = end - 1; t >= start; t--) {
      const long at = (t - start) * n, place = t * s.b + first;
      const float* dy = whole_rows(io.dys + place * s.h, s, n, rooms[0]);
      const float* h = Cell::READS_NEW ? whole_rows(io.hs + place * s.h, s, n, rooms[1]) : dy;
      const float* more = row(io.probes.h, s, t, first);
      const auto before = [&](long r) { return entering(io.flags, io.h0, io.hs, s, t, first + r); };
      const float* h_old = Cell::READS_OLD ? whole_rows(before, io.flags.resets, s, n, rooms[2], more) : dy;
      const float* c0 = io.dc0 && t == 0 ? whole_rows(io.c0 + first * s.h, s, n, rooms[3]) : nullptr;
      const float* more_c = row(io.probes.c, s, t, first);
      if (more_c) more_c = whole_rows(more_c, s, n, rooms[4]);
      blocks(Cell{}, p, [&](auto cell, long unit) {
        using C = decltype(cell);
        for (long r = 0; r < n; r++) {
          const long i = r * p + unit;
          for (int v = 0; v < C::UNITS / L; v++) store(&dh[i + v * L], load(&dh[i + v * L]) + load(&dy[i + v * L]));
          const float* kept = io.kept + (place + r) * wide + unit * A_UNIT(KEPT);
          Vec c{}, parts[C::SLOTS] = {};
          if (io.dc0) c = load(t ? kept - s.b * wide + C_KEPT * L : c0 + i);
          if (io.dfresh_c && starts(io.flags, s, t, first + r)) c = load(&fresh_c[i]);
          if (more_c) c += load(more_c + i);
          if (!idle(io.flags, s, t, first + r)) C::backward(kept, &h_old[i], &h[i], c, &dh[i], &dc[i], parts);
          float* to = &dz[most * unit * A_UNIT(SLOTS)] + (at + r) * C::SLOTS * L;
          for (int v = 0; v < C::SLOTS; v++) store(to + v * L, parts[v]);
        }
      });
      add_through<Cell, false>(s, dz, most, at, n, back, s.h, dh.data());
      if (io.dprobes_h) copy_rows(io.dprobes_h + place * s.h, s.h, dh.data(), p, s.h, n);
      if (io.dprobes_c) copy_rows(io.dprobes_c + place * s.h, s.h, dc.data(), p, s.h, n);
      for (long r = 0; r < n; r++)
        if (starts(io.flags, s, t, first + r)) {
          hand_over(io.dfresh_h + first * s.h, dh.data(), s, r);
          if (io.dfresh_c) hand_over(io.dfresh_c + first * s.h, dc.data(), s, r);
        }
    }
    const auto h = [&](long i, long r) { return entering(io.flags, io.h0, io.hs, s, start + i, first + r); };
    const auto probe = [&](long i) { return row(io.probes.h, s, start + i, first); };
    add_product<Cell, false>(s, h, probe, n, s.h, dz, most, count, out.recurrent);
    const auto x = [&](long i, long r) { return io.xs + ((start + i) * s.b + first + r) * s.d; };
    add_product<Cell, true>(s, x, [](long) { return (const float*)nullptr; }, n, s.d, dz, most, count, out.kernel);
    add_sum<Cell>(s, dz, most, count, out.bias);
    if (io.dxs) {
      std::fill(dx.begin(), dx.end(), 0.0f);
      add_through<Cell, true>(s, dz, most, 0, count, input_back, s.d, dx.data());
      for (long t = start; t < end; t++)
        copy_rows(io.dxs + (t * s.b + first) * s.d, s.d, &dx[(t - start) * n * whole(s.d)], whole(s.d), s.d, n);
    }
    end = start;
  }
  copy_rows(io.dh0 + first * s.h, s.h, dh.data(), p, s.h, n);
  if (io.dc0) copy_rows(io.dc0 + first * s.h, s.h, dc.data(), p, s.h, n);
}

// The sum of all shares, in the order of the weights.
template <class Cell>
void collect(const Sizes& s, const std::vector<Gradients>& shares, float* dkernel, float* drecurrent, float* dbias,
             float* drecurrent_bias) {
  const long g = Cell::GATES * s.h;
  std::memset(dkernel, 0, s.d * g * sizeof(float)), std::memset(drecurrent, 0, s.h * g * sizeof(float));
  std::memset(dbias, 0, g * sizeof(float));
  if (drecurrent_bias) std::memset(drecurrent_bias, 0, s.h * sizeof(float));
  for (const Gradients& share : shares)
    blocks(Cell{}, s.padded, [&](auto cell, long unit) {
      using C = decltype(cell);
      const float *u = &share.recurrent[s.h * unit * A_UNIT(UN)], *x = &share.kernel[s.d * unit * A_UNIT(XN)];
      const float* bias = &share.bias[unit * A_UNIT(SLOTS)];
      for (long k = 0; k < s.h; k++) add_back<C, C::UF, C::UN>(drecurrent + k * g, u, k, unit, s.h);
      for (long k = 0; k < s.d; k++) add_back<C, C::XF, C::XN>(dkernel + k * g, x, k, unit, s.h);
      add_back<C, C::XF, C::XN>(dbias, bias + C::XF * L, 0, unit, s.h);
      if (drecurrent_bias)
        for (long l = 0; l < L && unit + l < s.h; l++) drecurrent_bias[unit + l] += bias[l];
    });
}

}  // namespace rnngen
