// The mathematics of the cells: one step of a few units, forward and backward.
#pragma once

#include "vectors.h"

namespace rnngen {

// For what is kept of a block; far: that of all steps is more than a cache holds.
struct Room {
  float* start;
  bool far;
  void keep(int i, Vec v) const { far ? store_far(start + i * L, v) : store(start + i * L, v); }
};

constexpr int C_KEPT = 4;  // which of the vectors kept of a block is the c that left the step

// A cell computes the sums of a block of UNITS units in SLOTS vectors. UF and UN are the first slot and the number of
// slots that the recurrent kernel adds to, XF and XN those of the input kernel. `column` is where number `unit` of a
// slot stands in the weights `[., g * h]`, -1 beyond h. KEPT vectors a block are kept for the way back, which may read
// the h before the step and after it.
struct Lstm {  // i, f, g, o; keeps their tanh, and c
  static constexpr int SLOTS = 4, UF = 0, UN = 4, XF = 0, XN = 4, UNITS = L, GATES = 4, KEPT = 5;
  static constexpr bool READS_OLD = false, READS_NEW = false;
  static long column(int slot, long unit, long h) { return unit < h ? slot * h + unit : -1; }

  static void forward(const Vec* sums, const float*, float* c, float* h_new, Room kept) {
    const Vec i = tanh_(sums[0]), f = tanh_(sums[1]), g = tanh_(sums[2]), o = tanh_(sums[3]);
    const Vec c_new = half(f) * load(c) + half(i) * g;
    kept.keep(0, i), kept.keep(1, f), kept.keep(2, g), kept.keep(3, o), kept.keep(C_KEPT, c_new);
    store(c, c_new);
    store(h_new, half(o) * tanh_(c_new));
  }
  // dh holds the gradient in the new h; what reaches the old h but not by the recurrent kernel is left there.
  static void backward(const float* kept, const float*, const float*, Vec c, float* dh, float* dc, Vec* dz) {
    const Vec i = load(kept), f = load(kept + L), g = load(kept + 2 * L), o = load(kept + 3 * L);
    const Vec t = tanh_(load(kept + C_KEPT * L)), d = load(dh), e = load(dc) + d * half(o) * (1.0f - t * t);
    dz[0] = e * g * 0.5f * (1.0f - i * i);
    dz[1] = e * c * 0.5f * (1.0f - f * f);
    dz[2] = e * half(i) * (1.0f - g * g);
    dz[3] = d * t * 0.5f * (1.0f - o * o);
    store(dc, e * half(f));
    store(dh, Vec{});
  }
};

struct Gru {  // q = h U_n + c_n, r, z, and what the input adds to n; keeps q, tanh of r and z, n
  static constexpr int SLOTS = 4, UF = 0, UN = 3, XF = 1, XN = 3, UNITS = L, GATES = 3, KEPT = 4;
  static constexpr bool READS_OLD = true, READS_NEW = false;
  static long column(int slot, long unit, long h) {
    return unit < h ? (slot == 0 || slot == 3 ? 2 : slot - 1) * h + unit : -1;
  }

  static void forward(const Vec* sums, const float* h, float*, float* h_new, Room kept) {
    const Vec r = tanh_(sums[1]), z = tanh_(sums[2]), n = tanh_(sums[3] + half(r) * sums[0]);
    kept.keep(0, sums[0]), kept.keep(1, r), kept.keep(2, z), kept.keep(3, n);
    store(h_new, n + half(z) * (load(h) - n));
  }
  static void backward(const float* kept, const float* h, const float*, Vec, float* dh, float*, Vec* dz) {
    const Vec q = load(kept), r = load(kept + L), z = load(kept + 2 * L), n = load(kept + 3 * L), d = load(dh);
    dz[3] = d * (1.0f - half(z)) * (1.0f - n * n);
    dz[0] = dz[3] * half(r);
    dz[1] = dz[3] * q * 0.5f * (1.0f - r * r);
    dz[2] = d * (load(h) - n) * 0.5f * (1.0f - z * z);
    store(dh, d * half(z));
  }
};

template <int N>
struct Rnn {  // tanh, N vectors of units a block; what leaves a step is all that is needed
  static constexpr int SLOTS = N, UF = 0, UN = N, XF = 0, XN = N, UNITS = N * L, GATES = 1, KEPT = 0;
  static constexpr bool READS_OLD = false, READS_NEW = true;
  static long column(int slot, long unit, long h) { return unit + slot * L < h ? unit + slot * L : -1; }

  static void forward(const Vec* sums, const float*, float*, float* h_new, Room) {
    for (int v = 0; v < N; v++) store(h_new + v * L, tanh_(sums[v]));
  }
  static void backward(const float*, const float*, const float* h_new, Vec, float* dh, float*, Vec* dz) {
    for (int v = 0; v < N; v++) {
      const Vec h = load(h_new + v * L);
      dz[v] = load(dh + v * L) * (1.0f - h * h);
      store(dh + v * L, Vec{});
    }
  }
};

// f(cell, the first unit) over the blocks of a layer.
template <class Cell, class F>
void blocks(Cell cell, long padded, F f) {
  for (long unit = 0; unit < padded; unit += L) f(cell, unit);
}
template <class F>
void blocks(Rnn<1>, long padded, F f) {
  vectors(padded, [&](auto n, long unit) { f(Rnn<decltype(n)::value>{}, unit); });
}

// How many floats of a block go to each of its units, so that a block's part of an array starts at unit * that.
#define A_UNIT(COUNT) (Cell::COUNT * L / Cell::UNITS)

}  // namespace rnngen
