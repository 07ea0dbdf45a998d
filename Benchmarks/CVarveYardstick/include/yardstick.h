/* What the same work costs in C on bare librdkafka, and on a bare file: the yardsticks of `varve-bench log`.
 *
 * Each function does one measurement and fills `result`; it returns 0, or -1 with the reason in `error`. The settings are those
 * that Varve uses, handed over as "name=value" lines, so both sides do the same work. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct {
    double seconds;
    /* Processor time of this process, all threads. */
    double processor_seconds;
    /* Of single operations, where they are timed: half of them took no longer. */
    double median_seconds;
} yardstick_result;

typedef struct {
    const char *producer; /* lines of settings */
    const char *reader;
    const char *topic;
} yardstick_place;

/* Appends `count` records of `size` bytes as fast as the queue takes them, and waits for every report. */
int yardstick_append(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result, char error[256]);

/* The same from one batch of `batch` records to the next: at most `window` without a report. */
int yardstick_append_window(const yardstick_place *place, int64_t count, size_t size, int64_t window,
                            yardstick_result *result, char error[256]);

/* Reads `count` records from `offset` on in batches and touches each. */
int yardstick_tail(const yardstick_place *place, int64_t offset, int64_t count, yardstick_result *result, char error[256]);

/* One record after another, each waited for. */
int yardstick_awaited(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result, char error[256]);

/* The same, and each read back by a reader at the end. */
int yardstick_read_back(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result, char error[256]);

/* Writes `batches` batches of `records` records of `size` bytes to a file, each batch one write and one fdatasync. */
int yardstick_file(const char *path, int64_t batches, int64_t records, size_t size, yardstick_result *result,
                   char error[256]);
