// A layer's sizes, weights in the order in which they are read, and rows as whole vectors.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "cells.h"
#include "product.h"

namespace rnngen {

// Memory that begins where a vector may: one that lies across two lines of the cache takes twice as long to read.
template <class T>
struct Aligned {
  typedef T value_type;
  static constexpr std::align_val_t LINE{64};
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), LINE)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, LINE); }
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

// f(the first unit, how many vectors of them) over the blocks of a layer. A block's part of an array begins at as many
// times its first unit as there are numbers a unit.
template <class Cell, class F>
void blocks(const Sizes& s, F f) {
  for (long unit = 0; unit < s.padded; unit += Cell::VECTORS * L)
    f(unit, std::min<long>(Cell::VECTORS, (s.padded - unit) / L));
}

// Some slots of a block beside a row of weights `[g * h]`: f(number in the slots, number in the row, how many).
template <class Cell, class F>
void slots(const Sizes& s, int first, int count, long unit, long vectors, F f) {
  const long width = vectors * L, units = std::min(width, s.h - unit);
  for (int slot = 0; slot < count; slot++) f(slot * width, Cell::gate(first + slot) * s.h + unit, units);
}

// A layer's weights in the order in which they are read: block after block, zeros beyond h.
template <class Cell>
struct Layer {
  Sizes size;
  Floats recurrent, kernel, bias;

  Layer(Sizes s, Weights w) : size(s), recurrent(s.h * s.padded * Cell::UN), kernel(s.d * s.padded * Cell::XN) {
    bias.resize(s.padded * Cell::SLOTS);
    blocks<Cell>(s, [&](long unit, long vectors) {
      take(&recurrent[s.h * unit * Cell::UN], w.recurrent, s.h, Cell::UF, Cell::UN, unit, vectors);
      take(&kernel[s.d * unit * Cell::XN], w.kernel, s.d, Cell::XF, Cell::XN, unit, vectors);
      float* to = &bias[unit * Cell::SLOTS];
      take(to + Cell::XF * vectors * L, w.bias, 1, Cell::XF, Cell::XN, unit, vectors);
      if (w.recurrent_bias) take(to, w.recurrent_bias - Cell::gate(0) * s.h, 1, 0, 1, unit, vectors);
    });
  }

 private:
  // Rows of weights `[rows, g * h]` to a block.
  void take(float* to, const float* rows, long count, int first, int many, long unit, long vectors) const {
    for (long k = 0; k < count; k++, to += many * vectors * L, rows += Cell::GATES * size.h)
      slots<Cell>(size, first, many, unit, vectors,
                  [&](long at, long from, long n) { std::memcpy(to + at, rows + from, n * sizeof(float)); });
  }
};

constexpr long PACK = REGISTERS == 32 ? 4 : 2;  // vectors of a transpose that lie together

// f(the first number, how many vectors) over a row of whole vectors.
template <class F>
void packs(long width, F f) {
  for (long first = 0; first < width; first += PACK * L) f(first, std::min(PACK, (width - first) / L));
}

// The transpose of weights `[width, g * h]`, whose columns are slots [FIRST, FIRST + N), pack after pack.
template <class Cell, int FIRST, int N>
Floats transposed(const Sizes& s, const float* weights, long width) {
  const long g = Cell::GATES * s.h;
  Floats out(whole(width) * s.padded * N);
  packs(whole(width), [&](long first, long pack) {
    blocks<Cell>(s, [&](long unit, long vectors) {
      float* to = &out[(first * s.padded + unit * pack * L) * N];
      slots<Cell>(s, FIRST, N, unit, vectors, [&](long at, long from, long count) {
        // Square by square: down the columns, the lines of a wide array would push each other out of the cache.
        for (long row = 0; row < pack * L && first + row < width; row += L)
          for (long column = 0; column < count; column += L)
            for (long i = 0; i < std::min<long>(L, width - first - row); i++)
              for (long l = column; l < std::min(column + L, count); l++)
                to[(at + l) * pack * L + row + i] = weights[(first + row + i) * g + from + l];
      });
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

}  // namespace rnngen
