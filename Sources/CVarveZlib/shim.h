#pragma once
#include <zlib.h>

// inflateInit2 and deflateInit2 are macros. 15 + 16: the largest window, gzip framing only.

static inline int varve_gzip_inflate_init(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

static inline int varve_gzip_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
