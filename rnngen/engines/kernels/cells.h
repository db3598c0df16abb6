// The mathematics of the cells: one step of a vector of units, forward and backward.
#pragma once

#include "vectors.h"

namespace rnngen {

// For what is kept of a vector of units; null: nothing is; far: that of all steps is more than a cache holds.
struct Room {
  float* start;
  bool far;
  void keep(int i, Vec v) const {
    if (start) far ? store_far(start + i * L, v) : store(start + i * L, v);
  }
};

// A block's numbers in slots, `apart` numbers from one slot to the next.
template <class T>
struct Slots {
  T* start;
  long apart;
  Vec operator[](int slot) const { return load(start + slot * apart); }
  void set(int slot, Vec v) const { store(start + slot * apart, v); }
};

constexpr int C_KEPT = 4;  // which of the vectors kept is the c that left the step

// A cell has the sums of a unit in SLOTS slots. UF and UN are the first slot and the number of slots that the recurrent
// kernel adds to, XF and XN those of the input kernel. `gate` is whose columns of the weights `[., g * h]` a slot has.
// KEPT numbers a unit are kept for the way back, which may read the h before the step and after it. VECTORS of units are
// worked out at a time, so that their sums fill the registers.
struct Lstm {  // i, f, g, o; keeps their tanh, and c
  static constexpr int SLOTS = 4, UF = 0, UN = 4, XF = 0, XN = 4, GATES = 4, KEPT = 5, VECTORS = 1;
  static constexpr bool READS_OLD = false, READS_NEW = false;
  static constexpr int gate(int slot) { return slot; }

  static void forward(Slots<const float> sums, const float*, float* c, float* h_new, Room kept) {
    const Vec i = tanh_(sums[0]), f = tanh_(sums[1]), g = tanh_(sums[2]), o = tanh_(sums[3]);
    const Vec c_new = half(f) * load(c) + half(i) * g;
    kept.keep(0, i), kept.keep(1, f), kept.keep(2, g), kept.keep(3, o), kept.keep(C_KEPT, c_new);
    store(c, c_new);
    store(h_new, half(o) * tanh_(c_new));
  }
  // dh holds the gradient in the new h; what reaches the old h but not by the recurrent kernel is left there.
  static void backward(const float* kept, const float*, const float*, Vec c, float* dh, float* dc, Slots<float> dz) {
    const Vec i = load(kept), f = load(kept + L), g = load(kept + 2 * L), o = load(kept + 3 * L);
    const Vec t = tanh_(load(kept + C_KEPT * L)), d = load(dh), e = load(dc) + d * half(o) * (1.0f - t * t);
    dz.set(0, e * g * 0.5f * (1.0f - i * i));
    dz.set(1, e * c * 0.5f * (1.0f - f * f));
    dz.set(2, e * half(i) * (1.0f - g * g));
    dz.set(3, d * t * 0.5f * (1.0f - o * o));
    store(dc, e * half(f));
    store(dh, Vec{});
  }
};

struct Gru {  // q = h U_n + c_n, r, z, and what the input adds to n; keeps q, tanh of r and z, n
  static constexpr int SLOTS = 4, UF = 0, UN = 3, XF = 1, XN = 3, GATES = 3, KEPT = 4, VECTORS = 1;
  static constexpr bool READS_OLD = true, READS_NEW = false;
  static constexpr int gate(int slot) { return slot == 0 || slot == 3 ? 2 : slot - 1; }

  static void forward(Slots<const float> sums, const float* h, float*, float* h_new, Room kept) {
    const Vec q = sums[0], r = tanh_(sums[1]), z = tanh_(sums[2]), n = tanh_(sums[3] + half(r) * q);
    kept.keep(0, q), kept.keep(1, r), kept.keep(2, z), kept.keep(3, n);
    store(h_new, n + half(z) * (load(h) - n));
  }
  static void backward(const float* kept, const float* h, const float*, Vec, float* dh, float*, Slots<float> dz) {
    const Vec q = load(kept), r = load(kept + L), z = load(kept + 2 * L), n = load(kept + 3 * L), d = load(dh);
    const Vec dn = d * (1.0f - half(z)) * (1.0f - n * n);
    dz.set(0, dn * half(r));
    dz.set(1, dn * q * 0.5f * (1.0f - r * r));
    dz.set(2, d * (load(h) - n) * 0.5f * (1.0f - z * z));
    dz.set(3, dn);
    store(dh, d * half(z));
  }
};

struct Rnn {  // tanh; what leaves a step is all that is needed
  static constexpr int SLOTS = 1, UF = 0, UN = 1, XF = 0, XN = 1, GATES = 1, KEPT = 0, VECTORS = 4;
  static constexpr bool READS_OLD = false, READS_NEW = true;
  static constexpr int gate(int) { return 0; }

  static void forward(Slots<const float> sums, const float*, float*, float* h_new, Room) {
    store(h_new, tanh_(sums[0]));
  }
  static void backward(const float*, const float*, const float* h_new, Vec, float* dh, float*, Slots<float> dz) {
    const Vec h = load(h_new);
    dz.set(0, load(dh) * (1.0f - h * h));
    store(dh, Vec{});
  }
};

}  // namespace rnngen
