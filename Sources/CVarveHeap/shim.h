#pragma once
#include <stdlib.h>

// The C library's allocator. glibc keeps what was freed in the middle of its arenas, for ever; it gives it back to the
// kernel when asked. Other allocators do so by themselves.
#if defined(__GLIBC__)
#include <malloc.h>

static inline void varve_heap_give_back(void) { (void)malloc_trim(0); }

/// Bytes in living allocations. The rest of what is resident is code, mapped files and slack.
static inline size_t varve_heap_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
#else
static inline void varve_heap_give_back(void) {}
static inline size_t varve_heap_in_use(void) { return 0; }
#endif
