// The arguments of a custom call, by the C interface of XLA's FFI: its C++ headers compile slower than the loops.
#pragma once

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

#include <atomic>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "xla/ffi/api/c_api.h"

namespace rnngen {

class Call {
 public:
  explicit Call(const XLA_FFI_CallFrame* frame) : frame_(frame) {}

  const int64_t* shape(int i) const { return argument(i)->dims; }
  long elements(int i) const { return count(argument(i)); }
  const float* given(int i) const { return numbers(argument(i)); }  // null where empty
  float* wanted(int i) const { return numbers(static_cast<XLA_FFI_Buffer*>(frame_->rets.rets[i])); }
  long attribute(const char* name) const {
    for (int64_t i = 0; i < frame_->attrs.size; i++) {
      const XLA_FFI_ByteSpan& found = *frame_->attrs.names[i];
      if (found.len == std::strlen(name) && !std::memcmp(found.ptr, name, found.len))
        return *static_cast<int64_t*>(static_cast<XLA_FFI_Scalar*>(frame_->attrs.attrs[i])->value);
    }
    return 0;
  }

 private:
  const XLA_FFI_Buffer* argument(int i) const { return static_cast<XLA_FFI_Buffer*>(frame_->args.args[i]); }
  static long count(const XLA_FFI_Buffer* buffer) {
    long product = 1;
    for (int64_t i = 0; i < buffer->rank; i++) product *= buffer->dims[i];
    return product;
  }
  static float* numbers(const XLA_FFI_Buffer* buffer) {
    return count(buffer) ? static_cast<float*>(buffer->data) : nullptr;
  }
  const XLA_FFI_CallFrame* frame_;
};

// Answers XLA, which asks first for which version a handler was built: run(call) says whether there was memory enough.
template <class F>
XLA_FFI_Error* answer(XLA_FFI_CallFrame* frame, F run) {
  if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    auto* asked = reinterpret_cast<XLA_FFI_Metadata_Extension*>(frame->extension_start)->metadata;
    asked->api_version = {XLA_FFI_Api_Version_STRUCT_SIZE, nullptr, XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR};
    asked->traits = 0;
    return nullptr;
  }
  bool good = false;
  try {
    good = run(Call(frame));
  } catch (const std::bad_alloc&) {
  }
  if (good) return nullptr;
  XLA_FFI_Error_Create_Args error{XLA_FFI_Error_Create_Args_STRUCT_SIZE, nullptr, "out of memory in a layer",
                                  XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
  return frame->api->XLA_FFI_Error_Create(&error);
}

// Move a thread off this core, where a system may put it at first, to wait for the one that goes on; then let it run
// anywhere.
inline void send_away(std::thread& other) {
#ifdef __linux__
  cpu_set_t all, others;
  if (pthread_getaffinity_np(pthread_self(), sizeof all, &all)) return;
  others = all;
  CPU_CLR(sched_getcpu(), &others);
  if (!CPU_COUNT(&others)) return;
  pthread_setaffinity_np(other.native_handle(), sizeof others, &others);
  pthread_setaffinity_np(other.native_handle(), sizeof all, &all);
#endif
}

// f(share, its first row, its rows), on so many threads, or as many as there may be. False where memory ran out.
template <class F>
bool share_out(long rows, long shares, long threads, F f) {
  std::atomic<long> next{0};
  std::atomic<bool> good{true};
  const auto work = [&] {
    try {
      for (long i; (i = next++) < shares;) f(i, rows * i / shares, rows * (i + 1) / shares - rows * i / shares);
    } catch (const std::bad_alloc&) {
      good = false;
    }
  };
  std::vector<std::thread> others;
  try {
    for (long i = 1; i < threads && i < shares; i++) send_away(others.emplace_back(work));
  } catch (const std::system_error&) {
  }
  work();
  for (std::thread& other : others) other.join();
  return good;
}

}  // namespace rnngen
