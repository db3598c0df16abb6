// Vectors of numbers: as many as this processor takes at once, their tanh, and a product that stays in registers.
#pragma once

#ifdef __AVX__
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace rnngen {

// A vector, and how many rows by four of them stay in registers.
#if defined(__AVX512F__)
constexpr int L = 16, ROWS = 6;
#elif defined(__AVX__)
constexpr int L = 8, ROWS = 3;
#else
constexpr int L = 4, ROWS = 6;
#endif
typedef float Vec __attribute__((vector_size(L * 4), aligned(4)));

inline Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }
// Past the caches: what is not read soon need not be fetched to be overwritten.
inline void store_far(float* to, Vec v) {
  if (reinterpret_cast<std::uintptr_t>(to) % sizeof v) return store(to, v);
#if defined(__AVX512F__)
  _mm512_stream_ps(to, (__m512)v);
#elif defined(__AVX__)
  _mm256_stream_ps(to, (__m256)v);
#else
  store(to, v);
#endif
}
// What was stored past the caches is there for other cores, too.
inline void settle() {
#ifdef __AVX__
  _mm_sfence();
#endif
}
inline Vec all(float x) { return Vec{} + x; }
inline Vec half(Vec t) { return t * 0.5f + 0.5f; }

// x p(x^2) / q(x^2), fitted to tanh on [-8, 8] for the least relative error, 6e-9 before rounding; beyond, tanh is 1 to
// the last bits of a float. Never above 1, and NaN stays NaN.
inline Vec tanh_(Vec x) {
  x = x > 8.0f ? all(8.0f) : x;
  x = x < -8.0f ? all(-8.0f) : x;
  const Vec y = x * x;
  const Vec p = (((1.52301302e-8f * y + 2.18944648e-5f) * y + 3.57158637e-3f) * y + 0.134444883f) * y + 1.0f;
  const Vec q = (((8.52233227e-7f * y + 3.41127275e-4f) * y + 2.61643989e-2f) * y + 0.467778156f) * y + 1.0f;
  return x * p / q;
}

// sums[r][F + v] += sum over k of a[r * row + k * next] * b[k * across + v], for R rows and N vectors.
template <int R, int S, int F, int N>
inline __attribute__((always_inline)) void multiply(Vec (&sums)[R][S], const float* a, long row, long next,
                                                    const float* b, long across, long count) {
  Vec here[R][N];  // copies: what the numbers read may share memory with could not stay in registers
  for (int r = 0; r < R; r++)
    for (int v = 0; v < N; v++) here[r][v] = sums[r][F + v];
  for (long k = 0; k < count; k++) {
    Vec right[N];
#pragma GCC unroll 4
    for (int v = 0; v < N; v++) right[v] = load(b + k * across + v * L);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const Vec left = all(a[r * row + k * next]);
#pragma GCC unroll 4
      for (int v = 0; v < N; v++) here[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < N; v++) sums[r][F + v] = here[r][v];
}

template <int N>
using Number = std::integral_constant<int, N>;

// f(how many vectors, the first number) over a row of whole vectors, four at a time.
template <class F>
void vectors(long width, F f) {
  long first = 0;
  for (; first + 4 * L <= width; first += 4 * L) f(Number<4>{}, first);
  const long left = (width - first) / L;
  if (left == 3) f(Number<3>{}, first);
  if (left == 2) f(Number<2>{}, first);
  if (left == 1) f(Number<1>{}, first);
}

// f(how many, the first) over rows, as many at a time as stay in registers, shared out evenly.
template <class F>
void rows(long count, F f) {
  const long groups = (count + ROWS - 1) / ROWS;
  for (long i = 0; i < groups; i++) {
    const long first = count * i / groups;
    switch (count * (i + 1) / groups - first) {
      case 1: f(Number<1>{}, first); break;
      case 2: f(Number<2>{}, first); break;
      case 3: f(Number<3>{}, first); break;
#if !defined(__AVX__) || defined(__AVX512F__)
      case 4: f(Number<4>{}, first); break;
      case 5: f(Number<5>{}, first); break;
      case 6: f(Number<6>{}, first); break;
#endif
    }
  }
}

inline long whole(long width) { return (width + L - 1) / L * L; }

}  // namespace rnngen
