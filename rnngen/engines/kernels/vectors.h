// Vectors of numbers: as many as this processor takes at once, how they are read and written, and their tanh.
#pragma once

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

inline long whole(long width) { return (width + L - 1) / L * L; }

}  // namespace rnngen
