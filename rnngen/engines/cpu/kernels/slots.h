// The arguments and results of one step of a vector of units.
//
// A cell is a struct that `printing.py` writes. It has the numbers of a unit in SLOTS slots, of which the first SUMS are
// sums, and the others parameters. The recurrent kernel adds to UN slots from UF on, and the input kernel to XN from XF
// on; U_GATE and X_GATE say whose columns of these, of U_GATES and X_GATES blocks of h, a slot has. CARRIES: leaves of
// the carry beside h. KEPT residuals a unit are saved for `backward`, the new values of these leaves first; it may read
// h before and after the step, too. VECTORS of units are computed at a time, so that their sums fill the registers.
//
// `backward` gets the gradient in the new h in `dh`, and leaves there that in the old h, without the product's part.
#pragma once

#include "vectors.h"

namespace rnngen {

// The residuals of a vector of units; null: none are saved; far: those of all steps are more than a cache holds.
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

}  // namespace rnngen
