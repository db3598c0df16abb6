// The gradients of a layer, the steps gone through from the last to the first.
#pragma once

#include <cmath>

#include "forward.h"

namespace rnngen {

// What a share of the batch adds to the gradients of the weights, block after block as in `Layer`.
struct Gradients {
  Floats recurrent, kernel, start;
};

struct Backward {
  const float *xs, *h0, *c0, *hs, *kept, *dys, *dh_last, *dc_last;
  Probes probes;
  Flags flags;
  float *dh0, *dc0, *dxs, *dus, *dprobes_h, *dprobes_c, *dfresh_h, *dfresh_c;  // null where not wanted
  const float* factors;  // of the gradient in the carry that enters, `[1 + CARRIES]`; null: 1
  bool keep_norm;        // that gradient gets the norm of those in the carry that leaves and in the output, row by row
};

constexpr long CHUNK = 256;  // rows times steps whose products are taken at once

// The gradients of the sums in a chunk of steps, block after block, `most` rows in each: `[most, SLOTS * vectors * L]`.
struct Chunk {
  Floats dz;
  long most;
};

// Some rows, one beside the other, in the order in which a product with as many vectors as it takes at once reads them.
// a(i, r): row r, of `width`, of the n of step i of `count` rows in all; more(i): what is added to them (null: nothing).
template <class Step, class More>
void interleave(Step a, More more, long n, long width, long count, long most, Floats& out) {
  out.resize(count * width);
  groups(width, most, [&](long first, long many) {
    float* to = &out[first * count];
    for (long i = 0; i < count / n; i++) {
      const float* add = more(i);
      for (long r = 0; r < n; r++, to += many) {
        const float* from = a(i, r) + first;
        for (long j = 0; j < many; j++) to[j] = from[j];
        for (long j = 0; add && j < many; j++) to[j] += add[r * width + first + j];
      }
    }
  });
}

// Adds (a + more)^T dz to blocks like those of the weights, see `interleave`; slots [FIRST, FIRST + N).
template <class Cell, int FIRST, int N, class Step, class More>
void add_outer(const Sizes& s, Step a, More more, long n, long width, const Chunk& chunk, long count, Floats& out) {
  constexpr long most = rows_at_once(vectors_at_once(N * Cell::VECTORS));
  Floats read;
  interleave(a, more, n, width, count, most, read);
  blocks<Cell>(s, [&](long unit, long vectors) {
    const float* right = &chunk.dz[chunk.most * unit * Cell::SLOTS] + FIRST * vectors * L;
    float* const to = &out[width * unit * N];
    const long wide = N * vectors * L;
    groups(width, most, [&](long first, long many) {
      const Product product{&read[first * count], 1, many, 0, right, Cell::SLOTS * vectors * L, 0, count, 1};
      add_product(to + first * wide, wide, many, N * vectors, product);
    });
  });
}

// to `[n, whole(width)]` += dz W^T, for n rows of the chunk from `at` on; slots [FIRST, FIRST + N).
template <class Cell, int FIRST, int N>
void add_through(const Sizes& s, const Chunk& chunk, long at, long n, const Floats& back, long width, float* to) {
  constexpr long V = Cell::VECTORS, unit_numbers = Cell::SLOTS;
  packs(whole(width), [&](long first, long pack) {
    const long bytes = N * V * L * pack * L * sizeof(float), together = std::max(1L, NEAR / bytes), step = V * L;
    const auto add = [&](long unit, long vectors, long many) {
      const long wide = unit_numbers * vectors * L, count = N * vectors * L;
      const float* left = &chunk.dz[chunk.most * unit * unit_numbers] + at * wide + FIRST * vectors * L;
      const float* right = &back[(first * s.padded + unit * pack * L) * N];
      const Product product{left, wide, 1, chunk.most * wide, right, pack * L, count * pack * L, count, many};
      add_product(to + first, whole(width), n, pack, product);
    };
    const long full = s.padded / step, rest = (s.padded - full * step) / L;
    for (long i = 0; i < full; i += together) add(i * step, V, std::min(together, full - i));
    if (rest) add(full * step, rest, 1);
  });
}

// Adds the sum of dz over a chunk to the blocks of what the sums start from.
template <class Cell>
void add_sum(const Sizes& s, const Chunk& chunk, long count, Floats& out) {
  blocks<Cell>(s, [&](long unit, long vectors) {
    const long wide = Cell::SLOTS * vectors * L;
    const float* from = &chunk.dz[chunk.most * unit * Cell::SLOTS];
    for (long v = 0; v < wide; v += L) {
      float* const to = &out[unit * Cell::SLOTS + v];
      Vec sum = load(to);
      for (long k = 0; k < count; k++) sum += load(from + k * wide + v);
      store(to, sum);
    }
  });
}

// Rows of the gradients `from` move to those of `to`, where they are added.
inline void hand_over(float* to, float* from, const Sizes& s, long first, long count) {
  for (long r = first; r < first + count; r++) {
    for (long i = 0; i < s.h; i++) to[r * s.h + i] += from[r * s.padded + i];
    std::memset(from + r * s.padded, 0, s.padded * sizeof(float));
  }
}

// The gradient in what is added for the input, of n rows of the chunk from `at` on: `to` `[n, X_GATES * h]`.
template <class Cell>
void copy_out(const Sizes& s, const Chunk& chunk, long at, long n, float* to) {
  std::memset(to, 0, n * Cell::X_GATES * s.h * sizeof(float));
  blocks<Cell>(s, [&](long unit, long vectors) {
    const long wide = Cell::SLOTS * vectors * L;
    const float* from = &chunk.dz[chunk.most * unit * Cell::SLOTS] + at * wide + Cell::XF * vectors * L;
    INPUT<Cell>.slots(s, unit, vectors, [&](long slot, long column, long count) {
      copy_rows(to + column, Cell::X_GATES * s.h, from + slot, wide, count, n);
    });
  });
}

// The norm of n rows together, `count` numbers each.
inline float norm(const float* const* rows, long n, long count) {
  Vec sums{};
  float squares = 0;
  for (long r = 0; r < n; r++) {
    long i = 0;
    for (; i + L <= count; i += L) sums += load(rows[r] + i) * load(rows[r] + i);
    for (; i < count; i++) squares += rows[r][i] * rows[r][i];
  }
  float each[L];
  store(each, sums);
  for (float x : each) squares += x;
  if (squares > 1e-30f && squares < 1e30f) return std::sqrt(squares);
  double exact = 0;  // where squares leave the range of floats
  for (long r = 0; r < n; r++)
    for (long i = 0; i < count; i++) exact += static_cast<double>(rows[r][i]) * rows[r][i];
  return std::sqrt(exact);
}

// Row r of the gradients in the carry: its leaves.
template <long C>
struct Leaves {
  float* rows[C + 2];  // one more for the gradient in the output

  Leaves(const Sizes& s, long r, Floats& dh, Floats& dc) {
    rows[0] = &dh[r * s.padded];
    for (long j = 0; j < C; j++) rows[1 + j] = &dc[(r * C + j) * s.padded];
  }
  void scale(const Sizes& s, long leaf, float factor) {
    for (long i = 0; i < s.padded; i += L) store(rows[leaf] + i, load(rows[leaf] + i) * factor);
  }
};

// The gradient of row r in the carry that enters, as the cell's credit has it; `received`: the norm to be kept.
template <long C>
void credit(const Sizes& s, const Backward& io, long r, float received, Floats& dh, Floats& dc) {
  Leaves<C> leaves(s, r, dh, dc);
  for (long leaf = 0; leaf <= C; leaf++)
    if (io.factors[leaf] != 1) leaves.scale(s, leaf, io.factors[leaf]);
  if (!io.keep_norm) return;
  const float now = norm(leaves.rows, 1 + C, s.h);
  for (long leaf = 0; leaf <= C; leaf++) leaves.scale(s, leaf, now > 0 ? received / now : 0);
}

// Rows [first, first + n) of the batch back through all steps. back, input_back: the transposed kernels; begin: what the
// sums start from, block after block.
template <class Cell>
void backward_share(const Sizes& s, const Floats& back, const Floats& input_back, const Floats& begin,
                    const Backward& io, Gradients& out, long first, long n) {
  constexpr long C = Cell::CARRIES;
  const long p = s.padded, wide = p * Cell::KEPT, steps = std::max(1L, std::min(s.t, CHUNK / n));
  Floats dh(n * p), dc(C * n * p), rooms[3] = {dh, dh, dh}, c0(dc), probe_c(io.probes.c ? C * n * p : 0);
  Chunk chunk{Floats(steps * n * p * Cell::SLOTS), steps * n};
  Floats norms(io.keep_norm ? n : 0);
  Floats dx(io.dxs ? chunk.most * whole(s.d) : 0);
  out.recurrent.resize(s.h * p * Cell::UN), out.kernel.resize(s.d * p * Cell::XN), out.start.resize(p * Cell::SLOTS);
  copy_rows(dh.data(), p, io.dh_last + first * s.h, s.h, s.h, n);
  copy_rows(dc.data(), p, io.dc_last + first * C * s.h, s.h, s.h, n * C);
  copy_rows(c0.data(), p, io.c0 + first * C * s.h, s.h, s.h, n * C);
  if (io.dfresh_h) std::memset(io.dfresh_h + first * s.h, 0, n * s.h * sizeof(float));
  if (io.dfresh_c) std::memset(io.dfresh_c + first * C * s.h, 0, n * C * s.h * sizeof(float));
  Floats fresh_c(io.dfresh_c ? C * n * p : 0);
  if (io.dfresh_c) copy_rows(fresh_c.data(), p, io.flags.c + first * C * s.h, s.h, s.h, n * C);
  for (long end = s.t; end > 0;) {
    const long start = std::max(0L, end - steps), count = (end - start) * n;
    for (long t = end - 1; t >= start; t--) {
      const long at = (t - start) * n, place = t * s.b + first;
      const float* dy = whole_rows(io.dys + place * s.h, s, n, rooms[0]);
      const float* h = Cell::READS_NEW ? whole_rows(io.hs + place * s.h, s, n, rooms[1]) : dy;
      const float* more = row(io.probes.h, s, t, first);
      const auto before = [&](long r) { return entering(io.flags, io.h0, io.hs, s, t, first + r); };
      const float* h_old = Cell::READS_OLD ? whole_rows(before, io.flags.resets, s, n, rooms[2], more) : dy;
      if (C && io.probes.c) copy_rows(probe_c.data(), p, row(io.probes.c, s, t, first, C), s.h, s.h, n * C);
      for (long r = 0; io.keep_norm && r < n; r++) {
        Leaves<C> leaves(s, r, dh, dc);
        leaves.rows[1 + C] = const_cast<float*>(io.dys) + (place + r) * s.h;
        norms[r] = norm(leaves.rows, 2 + C, s.h);
      }
      blocks<Cell>(s, [&](long unit, long vectors) {
        float* const dz = &chunk.dz[chunk.most * unit * Cell::SLOTS] + at * Cell::SLOTS * vectors * L;
        for (long r = 0; r < n; r++)
          for (long v = 0; v < vectors; v++) {
            const long u = unit + v * L, i = r * p + u;
            const Slots<float> parts{dz + r * Cell::SLOTS * vectors * L + v * L, vectors * L};
            store(&dh[i], load(&dh[i]) + load(&dy[i]));
            const float* kept = io.kept + (place + r) * wide + u * Cell::KEPT;
            if (idle(io.flags, s, t, first + r)) {
              for (int slot = 0; slot < Cell::SLOTS; slot++) parts.set(slot, Vec{});
              continue;
            }
            Vec c[C + 1];
            for (long j = 0; j < C; j++) {
              const long there = (r * C + j) * p + u;
              c[j] = load(t ? kept - s.b * wide + j * L : &c0[there]);
              if (starts(io.flags, s, t, first + r)) c[j] = load(&fresh_c[there]);
              if (io.probes.c) c[j] += load(&probe_c[there]);
            }
            const Slots<const float> begins{&begin[unit * Cell::SLOTS + v * L], vectors * L};
            Cell::backward({kept, L}, &h_old[i], &h[i], c, begins, &dh[i], {dc.data() + r * C * p + u, p}, parts);
          }
      });
      add_through<Cell, Cell::UF, Cell::UN>(s, chunk, at, n, back, s.h, dh.data());
      for (long r = 0; io.factors && r < n; r++)
        if (!idle(io.flags, s, t, first + r)) credit<C>(s, io, r, io.keep_norm ? norms[r] : 0, dh, dc);
      if (io.dprobes_h) copy_rows(io.dprobes_h + place * s.h, s.h, dh.data(), p, s.h, n);
      if (io.dprobes_c) copy_rows(io.dprobes_c + place * C * s.h, s.h, dc.data(), p, s.h, n * C);
      if (io.dus) copy_out<Cell>(s, chunk, at, n, io.dus + place * Cell::X_GATES * s.h);
      for (long r = 0; r < n; r++)
        if (starts(io.flags, s, t, first + r)) {
          hand_over(io.dfresh_h + first * s.h, dh.data(), s, r, 1);
          if (C) hand_over(io.dfresh_c + first * C * s.h, dc.data(), s, r * C, C);
        }
    }
    const auto h = [&](long i, long r) { return entering(io.flags, io.h0, io.hs, s, start + i, first + r); };
    const auto probe = [&](long i) { return row(io.probes.h, s, start + i, first); };
    add_outer<Cell, Cell::UF, Cell::UN>(s, h, probe, n, s.h, chunk, count, out.recurrent);
    const auto x = [&](long i, long r) { return io.xs + ((start + i) * s.b + first + r) * s.d; };
    const auto nothing = [](long) { return static_cast<const float*>(nullptr); };
    if (s.d) add_outer<Cell, Cell::XF, Cell::XN>(s, x, nothing, n, s.d, chunk, count, out.kernel);
    add_sum<Cell>(s, chunk, count, out.start);
    if (io.dxs) {
      std::fill(dx.begin(), dx.end(), 0.0f);
      add_through<Cell, Cell::XF, Cell::XN>(s, chunk, 0, count, input_back, s.d, dx.data());
      for (long t = start; t < end; t++)
        copy_rows(io.dxs + (t * s.b + first) * s.d, s.d, &dx[(t - start) * n * whole(s.d)], whole(s.d), s.d, n);
    }
    end = start;
  }
  copy_rows(io.dh0 + first * s.h, s.h, dh.data(), p, s.h, n);
  copy_rows(io.dc0 + first * C * s.h, s.h, dc.data(), p, s.h, n * C);
}

// The sum of all shares, in the order of the weights.
template <class Cell>
void collect(const Sizes& s, const std::vector<Gradients>& shares, float* dkernel, float* drecurrent, float* dstart) {
  const auto clear = [&](float* to, const Columns<Cell>& columns, long count) {
    if (count) std::memset(to, 0, count * columns.gates * s.h * sizeof(float));
  };
  clear(dkernel, INPUT<Cell>, s.d), clear(drecurrent, RECURRENT<Cell>, s.h), clear(dstart, START<Cell>, 1);
  for (const Gradients& share : shares)
    blocks<Cell>(s, [&](long unit, long vectors) {
      const auto add = [&](const Columns<Cell>& columns, float* rows, const Floats& block, long count) {
        const float* from = block.data() + count * unit * columns.count;
        for (long k = 0; k < count; k++, rows += columns.gates * s.h, from += columns.count * vectors * L)
          columns.slots(s, unit, vectors, [&](long at, long to, long n) {
            for (long l = 0; l < n; l++) rows[to + l] += from[at + l];
          });
      };
      add(RECURRENT<Cell>, drecurrent, share.recurrent, s.h);
      add(INPUT<Cell>, dkernel, share.kernel, s.d);
      add(START<Cell>, dstart, share.start, 1);
    });
}

}  // namespace rnngen
