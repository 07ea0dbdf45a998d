#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC32C of `count` bytes, going on from `seed` (0 to start). Pass a result as the next seed to continue.
uint32_t varve_crc32c(uint32_t seed, const void *bytes, size_t count);

/// The table implementation, whatever the processor offers. Public for the test that holds the two together.
uint32_t varve_crc32c_table(uint32_t seed, const void *bytes, size_t count);
