// Vectors of numbers: as many as this processor takes at once, how they are read and written, and their functions.
#pragma once

#include <cmath>
#include <cstdint>

namespace rnngen {

// L: numbers in a vector. REGISTERS: how many vectors the processor has names for.
#if defined(__AVX512F__)
constexpr int L = 16, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int L = 8, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int L = 4, REGISTERS = 32;
#else
constexpr int L = 4, REGISTERS = 16;
#endif
typedef float Vec __attribute__((vector_size(L * 4)));
// The same, wherever numbers stand. Read as this type, a vector is one load; copied by memcpy, gcc 12 makes two 16-byte
// copies onto the stack of 32 bytes, and a load that has to wait for both.
typedef float Anywhere __attribute__((vector_size(L * 4), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const Anywhere*>(from); }
inline void store(float* to, Vec v) { *reinterpret_cast<Anywhere*>(to) = v; }
// Past the caches, where a vector is a whole line of them: what is not read soon need not be fetched to be overwritten.
// By the compilers' own names for it, since the header with the usual ones takes as long to read as all of this.
inline void store_far(float* to, Vec v) {
  if (L < 16 || reinterpret_cast<std::uintptr_t>(to) % sizeof v) return store(to, v);
#if defined(__clang__)
  __builtin_nontemporal_store(v, reinterpret_cast<Vec*>(to));
#elif defined(__AVX512F__)
  __builtin_ia32_movntps512(to, v);
#endif
}
// What was stored past the caches is there for other cores, too.
inline void settle() {
#ifdef __SSE__
  __builtin_ia32_sfence();
#endif
}
inline Vec all(float x) { return x - Vec{}; }  // not x + 0, which is another number for -0, and so takes a sum

// Of each number: its bits, and what a comparison says.
typedef decltype(Vec{} == Vec{}) Mask;
typedef std::int32_t Bits __attribute__((vector_size(L * 4)));
inline Bits bits(Vec x) { return (Bits)x; }
inline Vec number(Bits x) { return (Vec)x; }
template <class F, class... X>
inline Vec each(F f, X... x) {
  Vec out;
  for (int i = 0; i < L; i++) out[i] = f(x[i]...);
  return out;
}

// NaN where one of the two is.
inline Vec greatest(Vec x, Vec y) { return x > y ? x : (x == x ? y : x); }
inline Vec least(Vec x, Vec y) { return x < y ? x : (x == x ? y : x); }
inline Vec abs_(Vec x) { return number(bits(x) & 0x7fffffff); }
inline Vec sign_(Vec x) { return x > 0.0f ? all(1.0f) : (x < 0.0f ? all(-1.0f) : x); }

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

// 2^n e^r with n whole and |r| <= log(2) / 2, the series of e^r up to where it no longer shows; to 2 units in the last
// place. 2^n as two factors, since n may be 128.
inline Vec exp_(Vec x) {
  const Vec y = least(greatest(x, all(-104.0f)), all(89.0f)), shift = all(12582912.0f);
  const Vec n = (y * 1.44269504f + shift) - shift;
  const Vec r = (y - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec p = all(1.0f / 5040);
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
  const Bits whole = __builtin_convertvector(n == n ? n : Vec{}, Bits), one = whole >> 1;
  return p * number((one + 127) << 23) * number((whole - one + 127) << 23);
}

// log(2^n m) = n log 2 + log m with m in [sqrt(1/2), sqrt(2)], and log m = 2 artanh((m - 1) / (m + 1)) as a series.
inline Vec log_(Vec x) {
  const Bits above = bits(x) - 0x3f3504f3, n = above >> 23;
  const Vec m = number(bits(x) - (n << 23)), z = (m - 1.0f) / (m + 1.0f), y = z * z;
  const Vec series = (((y * (2.0f / 9) + 2.0f / 7) * y + 2.0f / 5) * y + 2.0f / 3) * y;
  const Vec scale = __builtin_convertvector(n, Vec);
  const Vec found = scale * 0.693359375f + (scale * -2.12194440e-4f + (z * series + z * 2.0f));
  const Vec edge = x == 0.0f ? all(-__builtin_inff()) : (x > 0.0f ? x : all(__builtin_nanf("")));
  return ((x > 0.0f) & (x < __builtin_inff())) ? found : edge;
}

// log(1 + x), with what is lost in 1 + x put right.
inline Vec log1p_(Vec x) {
  const Vec u = x + 1.0f;
  return (u == __builtin_inff()) | (x != x) ? u : log_(u) + (u > 0.0f ? (x - (u - 1.0f)) / u : Vec{});
}

inline long whole(long width) { return (width + L - 1) / L * L; }

}  // namespace rnngen
