// Calls of a layer read from a file, made again, and held to what they gave: for instruction sets that no JAX runs here.
//
//     replay FILE TOLERANCE
//
// FILE: the forward call and then the backward one, each as `shares`, `threads`, the number of arguments, these, the
// number of results, these; an array is its rank, sizes and numbers. What is kept for the way back lies as wide as the
// vectors are, so the backward call gets what this program has kept.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "layer.cc"

struct Array {
  std::vector<int64_t> sizes;
  std::vector<float> numbers;
  XLA_FFI_Buffer buffer() {
    return {XLA_FFI_Buffer_STRUCT_SIZE,        nullptr, XLA_FFI_DataType_F32, numbers.data(), (int64_t)sizes.size(),
            sizes.data()};
  }
};

template <class T>
void read(std::FILE* file, T* to, std::size_t count) {
  if (std::fread(to, sizeof(T), count, file) != count) std::exit(2);
}

std::vector<Array> read_arrays(std::FILE* file) {
  int64_t count, rank;
  read(file, &count, 1);
  std::vector<Array> arrays(count);
  for (Array& array : arrays) {
    read(file, &rank, 1);
    array.sizes.resize(rank);
    read(file, array.sizes.data(), rank);
    int64_t size = 1;
    for (int64_t n : array.sizes) size *= n;
    array.numbers.resize(size);
    read(file, array.numbers.data(), size);
  }
  return arrays;
}

// The largest difference from what is expected, relative to the largest number of each; `but`: a result not looked at.
double replay(XLA_FFI_Handler* handler, std::FILE* file, int but, Array* kept, int place) {
  int64_t numbers[2];
  read(file, numbers, 2);
  std::vector<Array> arguments = read_arrays(file), expected = read_arrays(file), found = expected;
  if (place >= 0) arguments[place] = *kept;
  for (Array& array : found) std::fill(array.numbers.begin(), array.numbers.end(), NAN);
  std::vector<XLA_FFI_Buffer> buffers;
  for (auto* arrays : {&arguments, &found})
    for (Array& array : *arrays) buffers.push_back(array.buffer());
  std::vector<void*> places;
  for (XLA_FFI_Buffer& buffer : buffers) places.push_back(&buffer);
  XLA_FFI_ByteSpan names[] = {{"shares", 6}, {"threads", 7}}, *named[] = {&names[0], &names[1]};
  XLA_FFI_Scalar scalars[] = {{XLA_FFI_DataType_S64, &numbers[0]}, {XLA_FFI_DataType_S64, &numbers[1]}};
  void* attributes[] = {&scalars[0], &scalars[1]};
  XLA_FFI_CallFrame frame{};
  frame.args.size = arguments.size(), frame.args.args = places.data();
  frame.rets.size = found.size(), frame.rets.rets = places.data() + arguments.size();
  frame.attrs.size = 2, frame.attrs.names = named, frame.attrs.attrs = attributes;
  if (handler(&frame)) std::exit(3);
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); i++) {
    if ((int)i == but) *kept = found[i];
    double largest = 1e-3, off = 0;
    for (std::size_t k = 0; (int)i != but && k < found[i].numbers.size(); k++) {
      largest = std::fmax(largest, std::fabs(expected[i].numbers[k]));
      const double difference = std::fabs(found[i].numbers[k] - expected[i].numbers[k]);
      off = difference == difference ? std::fmax(off, difference) : INFINITY;
    }
    worst = std::fmax(worst, off / largest);
  }
  return worst;
}

int main(int count, char** arguments) {
  std::FILE* file = count == 3 ? std::fopen(arguments[1], "rb") : nullptr;
  if (!file) return 2;
  Array kept;
  const double there = replay(forward, file, 1, &kept, -1), back = replay(backward, file, -1, &kept, 13);
  std::printf("%g %g\n", there, back);
  return std::fmax(there, back) > std::atof(arguments[2]);
}
