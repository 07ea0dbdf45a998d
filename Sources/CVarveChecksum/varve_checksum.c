#include "varve_checksum.h"

#include <pthread.h>
#include <string.h>

// Reflected polynomial of CRC32C (RFC 3720, appendix B.4).
#define POLYNOMIAL 0x82F63B78u

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = (c >> 1) ^ (POLYNOMIAL & (0u - (c & 1)));
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) table[t][i] = (table[t - 1][i] >> 8) ^ table[0][table[t - 1][i] & 0xff];
}

// Slicing by eight.
uint32_t varve_crc32c_table(uint32_t seed, const void *bytes, size_t count) {
    pthread_once(&table_once, fill_table);
    const unsigned char *p = bytes;
    uint32_t c = ~seed;
    while (count >= 8) {
        uint32_t low = c ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        c = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^ table[4][low >> 24]
            ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
        p += 8;
        count -= 8;
    }
    while (count--) c = (c >> 8) ^ table[0][(c ^ *p++) & 0xff];
    return ~c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t seed, const void *bytes, size_t count) {
    const unsigned char *p = bytes;
    uint64_t c = (uint32_t)~seed;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
        p += 8;
        count -= 8;
    }
    while (count--) c = _mm_crc32_u8((uint32_t)c, *p++);
    return ~(uint32_t)c;
}

uint32_t varve_crc32c(uint32_t seed, const void *bytes, size_t count) {
    return __builtin_cpu_supports("sse4.2") ? by_instruction(seed, bytes, count)
                                            : varve_crc32c_table(seed, bytes, count);
}
#else
uint32_t varve_crc32c(uint32_t seed, const void *bytes, size_t count) {
    return varve_crc32c_table(seed, bytes, count);
}
#endif
