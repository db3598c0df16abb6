// A layer over all steps, and its weights in the order in which they are read.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "cells.h"

namespace rnngen {

// Memory that begins where a vector may: one that lies across two lines of the cache takes twice as long to read.
template <class T>
struct Aligned {
  typedef T value_type;
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(sizeof(Vec)))); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t(sizeof(Vec))); }
  bool operator==(const Aligned&) const { return true; }
  bool operator!=(const Aligned&) const { return false; }
};
typedef std::vector<float, Aligned<float>> Floats;

struct Sizes {
  long t, b, d, h, padded;
};

struct Weights {
  const float *kernel, *recurrent, *bias, *recurrent_bias;
};

// The numbers of a slot in a row of weights `[g * h]`: f(where they are in the row, how many), none beyond h.
template <class Cell, class F>
void slot_of(int slot, long unit, long h, F f) {
  long count = L;
  while (count && Cell::column(slot, unit + count - 1, h) < 0) count--;
  if (count) f(Cell::column(slot, unit, h), count);
}

// Slots [F, F + N) of a block from a row of weights to row k of a panel, and the other way, added.
template <class Cell, int F, int N>
void take(float* to, const float* row, long k, long unit, long h) {
  for (int slot = 0; slot < N; slot++)
    slot_of<Cell>(F + slot, unit, h, [&](long at, long count) {
      std::memcpy(to + (k * N + slot) * L, row + at, count * sizeof(float));
    });
}
template <class Cell, int F, int N>
void add_back(float* row, const float* from, long k, long unit, long h) {
  for (int slot = 0; slot < N; slot++)
    slot_of<Cell>(F + slot, unit, h, [&](long at, long count) {
      for (long l = 0; l < count; l++) row[at + l] += from[(k * N + slot) * L + l];
    });
}

// A layer's weights in the order in which they are read: panel after panel, zeros beyond h.
template <class Cell>
struct Layer {
  Sizes size;
  Floats recurrent, kernel, bias;

  Layer(Sizes s, Weights w) : size(s) {
    const long g = Cell::GATES * s.h;
    recurrent.resize(s.h * s.padded * A_UNIT(UN)), kernel.resize(s.d * s.padded * A_UNIT(XN));
    bias.resize(s.padded * A_UNIT(SLOTS));
    blocks(Cell{}, s.padded, [&](auto cell, long unit) {
      using C = decltype(cell);
      float *u = &recurrent[s.h * unit * A_UNIT(UN)], *x = &kernel[s.d * unit * A_UNIT(XN)];
      for (long k = 0; k < s.h; k++) take<C, C::UF, C::UN>(u, w.recurrent + k * g, k, unit, s.h);
      for (long k = 0; k < s.d; k++) take<C, C::XF, C::XN>(x, w.kernel + k * g, k, unit, s.h);
      float* to = &bias[unit * A_UNIT(SLOTS)];
      take<C, C::XF, C::XN>(to + C::XF * L, w.bias, 0, unit, s.h);
      if (w.recurrent_bias) std::memcpy(to, w.recurrent_bias + unit, std::min<long>(L, s.h - unit) * sizeof(float));
    });
  }
};

// The transpose of weights `[width, g * h]` whose columns are the slots [UF, UF + UN), or [XF, XF + XN) of the input's.
template <class Cell, bool INPUT>
Floats transposed(Sizes s, const float* weights, long width) {
  const long g = Cell::GATES * s.h, a_unit = INPUT ? A_UNIT(XN) : A_UNIT(UN);
  Floats out(whole(width) * s.padded * a_unit);
  vectors(whole(width), [&](auto n, long first) {
    constexpr int N = decltype(n)::value;
    blocks(Cell{}, s.padded, [&](auto cell, long unit) {
      using C = decltype(cell);
      constexpr int F = INPUT ? C::XF : C::UF, M = INPUT ? C::XN : C::UN;
      float* to = &out[(first * s.padded + unit * N * L) * a_unit];
      // Square by square: down the columns, the lines of a wide array would push each other out of the cache.
      for (long row = 0; row < N * L && first + row < width; row += L)
        for (int slot = 0; slot < M; slot++) {
          float square[L][L] = {};
          for (long i = 0; i < std::min<long>(L, width - first - row); i++)
            slot_of<C>(F + slot, unit, s.h, [&](long at, long count) {
              std::memcpy(square[i], weights + (first + row + i) * g + at, count * sizeof(float));
            });
          for (int l = 0; l < L; l++)
            for (int i = 0; i < L; i++) to[(slot * L + l) * N * L + row + i] = square[i][l];
        }
    });
  });
  return out;
}

inline void copy_rows(float* to, long to_row, const float* from, long from_row, long width, long count) {
  for (long r = 0; r < count; r++) std::memcpy(to + r * to_row, from + r * from_row, width * sizeof(float));
}

inline void add_rows(float* to, long to_row, const float* more, long width, long count) {
  for (long r = 0; more && r < count; r++)
    for (long i = 0; i < width; i++) to[r * to_row + i] += more[r * width + i];
}

// n rows of h numbers, row r of them at from(r), with those of `more` (null: none) added, as rows of whole vectors:
// where they are, if they are there one after another and not `apart`, or in `room`.
template <class Row>
const float* whole_rows(Row from, bool apart, const Sizes& s, long n, Floats& room, const float* more = nullptr) {
  if (s.h == s.padded && !more && !apart) return from(0);
  for (long r = 0; r < n; r++) copy_rows(&room[r * s.padded], s.padded, from(r), s.h, s.h, 1);
  add_rows(room.data(), s.padded, more, s.h, n);
  return room.data();
}
inline const float* whole_rows(const float* from, const Sizes& s, long n, Floats& room) {
  return whole_rows([&](long r) { return from + r * s.h; }, false, s, n, room);
}

// What is added to the carry that enters each step, `[t, b, h]`; null: nothing.
struct Probes {
  const float *h, *c;
};
inline const float* row(const float* array, const Sizes& s, long t, long first) {
  return array ? array + (t * s.b + first) * s.h : nullptr;
}

// Flags `[t, b]`, null: none. Where `mask` is 0 a step leaves the carry that entered it; where `resets` is not, what
// enters is a row of h and c `[b, h]` in place of what left the step before.
struct Flags {
  const float *mask, *resets, *h, *c;
};
inline bool starts(const Flags& flags, const Sizes& s, long t, long row) {
  return flags.resets && flags.resets[t * s.b + row];
}
inline bool idle(const Flags& flags, const Sizes& s, long t, long row) {
  return flags.mask && !flags.mask[t * s.b + row];
}
// Row `row` of the h that enters step t, but for probes.
inline const float* entering(const Flags& flags, const float* h0, const float* hs, const Sizes& s, long t, long row) {
  if (starts(flags, s, t, row)) return flags.h + row * s.h;
  return t ? hs + ((t - 1) * s.b + row) * s.h : h0 + row * s.h;
}

constexpr long FAR = 1 << 20;  // numbers that are more than a core's own cache holds

// Rows [first, first + n) of the batch through all steps.
template <class Cell>
void forward_share(const Layer<Cell>& layer, const float* xs, const float* h0, const float* c0, Probes probes,
                   Flags flags, float* hs, float* kept, float* c_last, long first, long n) {
  const Sizes s = layer.size;
  const long wide = s.padded * A_UNIT(KEPT);
  const bool far = s.t * s.b * wide > FAR;
  Floats before(n * s.padded), after(before), c(before), c_before;
  if (c_last) copy_rows(c.data(), s.padded, c0 + first * s.h, s.h, s.h, n);
  for (long t = 0; t < s.t; t++) {
    const float* x = xs + (t * s.b + first) * s.d;
    float *keep = kept + (t * s.b + first) * wide, *out = hs + (t * s.b + first) * s.h;
    const auto from = [&](long r) { return entering(flags, h0, hs, s, t, first + r); };
    const float* h = whole_rows(from, flags.resets, s, n, before, row(probes.h, s, t, first));
    float* h_new = s.h == s.padded ? out : after.data();
    for (long r = 0; c_last && r < n; r++)
      if (starts(flags, s, t, first + r)) copy_rows(&c[r * s.padded], 0, flags.c + (first + r) * s.h, 0, s.h, 1);
    add_rows(c.data(), s.padded, row(probes.c, s, t, first), s.h, n);
    if (flags.mask && c_last) c_before = c;
    blocks(Cell{}, s.padded, [&](auto cell, long unit) {
      using C = decltype(cell);
      const float *bias = &layer.bias[unit * A_UNIT(SLOTS)], *u = layer.recurrent.data() + s.h * unit * A_UNIT(UN);
      rows(n, [&](auto count, long row) {
        constexpr int R = decltype(count)::value;
        Vec sums[R][C::SLOTS];
        for (int v = 0; v < C::SLOTS; v++)
          for (int r = 0; r < R; r++) sums[r][v] = load(bias + v * L);
        multiply<R, C::SLOTS, C::UF, C::UN>(sums, &h[row * s.padded], s.padded, 1, u, C::UN * L, s.h);
        multiply<R, C::SLOTS, C::XF, C::XN>(sums, x + row * s.d, s.d, 1,
                                            layer.kernel.data() + s.d * unit * A_UNIT(XN), C::XN * L, s.d);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
          const long at = (row + r) * s.padded + unit;
          C::forward(sums[r], &h[at], &c[at], &h_new[at], {keep + (row + r) * wide + unit * A_UNIT(KEPT), far});
        }
      });
    });
    for (long r = 0; r < n; r++)
      if (idle(flags, s, t, first + r)) {
        copy_rows(h_new + r * s.padded, 0, h + r * s.padded, 0, s.padded, 1);
        if (c_last) copy_rows(&c[r * s.padded], 0, &c_before[r * s.padded], 0, s.padded, 1);
        for (long unit = 0; c_last && unit < s.padded; unit += L)
          store(keep + r * wide + unit * A_UNIT(KEPT) + C_KEPT * L, load(&c[r * s.padded + unit]));
      }
    if (h_new != out) copy_rows(out, s.h, h_new, s.padded, s.h, n);
  }
  if (c_last) copy_rows(c_last + first * s.h, s.h, c.data(), s.padded, s.h, n);
  settle();
}

}  // namespace rnngen
