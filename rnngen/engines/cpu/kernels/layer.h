// A layer's sizes, weights in the order in which they are read, and rows as whole vectors.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "product.h"
#include "slots.h"

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

// The kernels, and what the sums start from, `[SLOTS * h]`.
struct Weights {
  const float *kernel, *recurrent, *start;
};

// f(the first unit, how many vectors of them) over the blocks of a layer. A block's part of an array begins at as many
// times its first unit as there are numbers a unit.
template <class Cell, class F>
void blocks(const Sizes& s, F f) {
  for (long unit = 0; unit < s.padded; unit += Cell::VECTORS * L)
    f(unit, std::min<long>(Cell::VECTORS, (s.padded - unit) / L));
}

// Some columns of a row of weights `[g * h]`: those of slots [first, first + count).
template <class Cell>
struct Columns {
  int first, count;
  const int* gate;  // whose columns a slot has; null: its own
  long gates;

  // f(number in the block, number in the row, how many) over the slots, for a block of units.
  template <class F>
  void slots(const Sizes& s, long unit, long vectors, F f) const {
    const long width = vectors * L, units = std::min(width, s.h - unit);
    for (int i = 0; i < count; i++) f(i * width, (gate ? gate[first + i] : first + i) * s.h + unit, units);
  }
};
template <class Cell>
constexpr Columns<Cell> RECURRENT{Cell::UF, Cell::UN, Cell::U_GATE, Cell::U_GATES};
template <class Cell>
constexpr Columns<Cell> INPUT{Cell::XF, Cell::XN, Cell::X_GATE, Cell::X_GATES};
template <class Cell>
constexpr Columns<Cell> START{0, Cell::SLOTS, nullptr, Cell::SLOTS};

// Rows of weights `[rows, g * h]` to a block.
template <class Cell>
void take(const Sizes& s, const Columns<Cell>& columns, float* to, const float* rows, long count, long unit,
          long vectors) {
  for (long k = 0; k < count; k++, to += columns.count * vectors * L, rows += columns.gates * s.h)
    columns.slots(s, unit, vectors,
                  [&](long at, long from, long n) { std::memcpy(to + at, rows + from, n * sizeof(float)); });
}

// What the sums start from, block after block.
template <class Cell>
Floats starts(const Sizes& s, const float* start) {
  Floats out(s.padded * Cell::SLOTS);
  blocks<Cell>(s, [&](long unit, long vectors) {
    take(s, START<Cell>, &out[unit * Cell::SLOTS], start, 1, unit, vectors);
  });
  return out;
}

// A layer's weights in the order in which they are read: block after block, zeros beyond h.
template <class Cell>
struct Layer {
  Sizes size;
  Floats recurrent, kernel, start;

  Layer(Sizes s, Weights w)
      : size(s),
        recurrent(s.h * s.padded * Cell::UN),
        kernel(s.d * s.padded * Cell::XN),
        start(starts<Cell>(s, w.start)) {
    blocks<Cell>(s, [&](long unit, long vectors) {
      take(s, RECURRENT<Cell>, &recurrent[s.h * unit * Cell::UN], w.recurrent, s.h, unit, vectors);
      take(s, INPUT<Cell>, kernel.data() + s.d * unit * Cell::XN, w.kernel, s.d, unit, vectors);
    });
  }
};

constexpr long PACK = REGISTERS == 32 ? 4 : 2;  // vectors of a transpose that lie together

// f(the first number, how many vectors) over a row of whole vectors.
template <class F>
void packs(long width, F f) {
  for (long first = 0; first < width; first += PACK * L) f(first, std::min(PACK, (width - first) / L));
}

// The transpose of weights `[width, g * h]`, pack after pack.
template <class Cell>
Floats transposed(const Sizes& s, const Columns<Cell>& columns, const float* weights, long width) {
  const long g = columns.gates * s.h;
  Floats out(whole(width) * s.padded * columns.count);
  packs(whole(width), [&](long first, long pack) {
    blocks<Cell>(s, [&](long unit, long vectors) {
      float* to = out.data() + (first * s.padded + unit * pack * L) * columns.count;
      columns.slots(s, unit, vectors, [&](long at, long from, long count) {
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
  for (long r = 0; more && r < count; r++, to += to_row, more += width) {
    long i = 0;
    for (; i + L <= width; i += L) store(to + i, load(to + i) + load(more + i));
    for (; i < width; i++) to[i] += more[i];
  }
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

// What is added to the carry that enters each step, to h `[t, b, h]` and to the rest of it `[t, b, CARRIES, h]`; null:
// nothing.
struct Probes {
  const float *h, *c;
};
inline const float* row(const float* array, const Sizes& s, long t, long first, long leaves = 1) {
  return array ? array + (t * s.b + first) * leaves * s.h : nullptr;
}

// Flags `[t, b]`, null: none. Where `mask` is 0 a step leaves the carry that entered it; where `resets` is not, what
// enters is a row of h `[b, h]` and of c `[b, CARRIES, h]` in place of what left the step before.
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
