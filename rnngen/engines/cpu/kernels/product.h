// Products of a few rows by a few vectors, whose sums stay in registers.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "vectors.h"

namespace rnngen {

// How many vectors a kernel takes at most, and with how many rows: as many as there are registers for, with the vectors
// of `right` and one number of `left` beside the sums.
constexpr long MOST = REGISTERS == 32 ? 4 : 3;
constexpr long rows_at_once(long vectors) {
  if (REGISTERS == 32) return vectors < 4 ? 8 : 6;
  return vectors == 3 ? 4 : 6;
}
// How many of so many vectors are taken next: 2 and 2 rather than 3 and 1.
constexpr long vectors_at_once(long vectors) {
  return vectors <= MOST ? vectors : vectors == MOST + 1 ? (MOST + 1) / 2 : MOST;
}
constexpr long NEAR = 24 << 10;  // bytes of `right` that stay close while all rows are multiplied by them

// left[r * row + k * next + j * left_block] * right[k * across + v * L + j * right_block], to be summed over k < count
// and j < blocks.
struct Product {
  const float* left;
  long row, next, left_block;
  const float* right;
  long across, right_block, count, blocks;
};

// Numbers that are wanted soon, fetched while others are worked on: from `start` on, `step` bytes further at each k.
struct Ahead {
  const char* start;
  long step;
};

// Loops of which nothing may be left, or the sums could not stay in registers.
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

template <int R, int N>
__attribute__((noinline)) void add(float* sums, long sums_row, const Product& p, Ahead ahead) {
  Vec here[R][N];
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int v = 0; v < N; v++) here[r][v] = load(sums + r * sums_row + v * L);
  for (long j = 0; j < p.blocks; j++) {
    const float *left = p.left + j * p.left_block, *right = p.right + j * p.right_block;
    const long row = p.row, next = p.next, across = p.across;
    for (long k = p.count; k > 0; k--, left += next, right += across) {
      __builtin_prefetch(ahead.start), ahead.start += ahead.step;
      Vec by[N];
      UNROLL for (int v = 0; v < N; v++) by[v] = load(right + v * L);
      UNROLL for (int r = 0; r < R; r++) {
        const Vec x = all(left[r * row]);
        UNROLL for (int v = 0; v < N; v++) here[r][v] += x * by[v];
      }
    }
  }
  UNROLL for (int r = 0; r < R; r++)
    UNROLL for (int v = 0; v < N; v++) store(sums + r * sums_row + v * L, here[r][v]);
}

typedef void (*Add)(float*, long, const Product&, Ahead);
template <int N, int... R>
constexpr std::array<Add, 8> adds(std::integer_sequence<int, R...>) {
  return {add<R + 1, N>...};
}
template <int N>
constexpr std::array<Add, 8> adds() {
  return adds<N>(std::make_integer_sequence<int, rows_at_once(N)>());
}
constexpr std::array<Add, 8> ADDS[] = {adds<1>(), adds<2>(), adds<3>(),
#if defined(__AVX512F__) || defined(__aarch64__)
                                       adds<4>()
#endif
};

// f(the first, how many) over rows, `most` at a time at most, shared out evenly.
template <class F>
void groups(long rows, long most, F f) {
  const long count = (rows + most - 1) / most;
  for (long i = 0; i < count; i++) f(rows * i / count, rows * (i + 1) / count - rows * i / count);
}

// sums[r * sums_row + v * L] += the product, for so many rows and vectors. What follows `right` is taken to be next, and
// fetched: a large layer's weights come from far at every step.
inline void add_product(float* sums, long sums_row, long rows, long vectors, Product p) {
  const long bytes = p.count * p.blocks * p.across * sizeof(float), most = rows_at_once(vectors_at_once(vectors));
  const long calls = (rows + most - 1) / most * ((vectors + MOST - 1) / MOST), slice = bytes / calls;
  Ahead ahead{reinterpret_cast<const char*>(p.right) + bytes, slice / std::max(1L, p.count * p.blocks)};
  for (long v = 0, n; v < vectors; v += n) {
    n = vectors_at_once(vectors - v);
    groups(rows, rows_at_once(n), [&](long first, long count) {
      Product part = p;
      part.left += first * p.row, part.right += v * L;
      ADDS[n - 1][count - 1](sums + first * sums_row + v * L, sums_row, part, ahead);
      ahead.start += slice;
    });
  }
}

// The same, with no more of `right` at a time than stays close; p.blocks must be 1.
inline void add_long_product(float* sums, long sums_row, long rows, long vectors, Product p) {
  const long most = std::max<long>(16, NEAR / (p.across * sizeof(float))), all = p.count;
  groups(all, most, [&](long first, long count) {
    Product part = p;
    part.left += first * p.next, part.right += first * p.across, part.count = count;
    add_product(sums, sums_row, rows, vectors, part);
  });
}

}  // namespace rnngen
