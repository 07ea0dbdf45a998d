#include "yardstick.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double processor(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(char error[256], const char *what, const char *why) {
    snprintf(error, 256, "%s: %s", what, why);
    return -1;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int64_t count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return count ? values[count / 2] : 0;
}

/* A handle from lines of "name=value". */
static rd_kafka_t *handle(rd_kafka_type_t type, const char *settings, char error[256]) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char *copy = strdup(settings), *rest = copy, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *value = strchr(line, '=');
        if (!value) continue;
        *value++ = 0;
        if (rd_kafka_conf_set(conf, line, value, error, 256) != RD_KAFKA_CONF_OK) {
            free(copy);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    free(copy);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    rd_kafka_t *made = rd_kafka_new(type, conf, error, 256);
    if (!made) rd_kafka_conf_destroy(conf);
    return made;
}

/* One producing thread, one that takes reports: the shape that is fastest in C. */
typedef struct {
    rd_kafka_queue_t *queue;
    int64_t wanted;
    int64_t reported; /* atomic */
    int64_t last_offset;
    int failed;
} reports;

static void *take_reports(void *argument) {
    reports *r = argument;
    const rd_kafka_message_t *messages[512];
    while (__atomic_load_n(&r->reported, __ATOMIC_RELAXED) < r->wanted && !r->failed) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(r->queue, 1000);
        if (!event) continue;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            size_t count;
            while ((count = rd_kafka_event_message_array(event, messages, 512))) {
                for (size_t i = 0; i < count; i++) {
                    if (messages[i]->err) r->failed = 1;
                    r->last_offset = messages[i]->offset;
                }
                __atomic_fetch_add(&r->reported, (int64_t)count, __ATOMIC_RELEASE);
            }
        }
        rd_kafka_event_destroy(event);
    }
    return NULL;
}

int yardstick_append_window(const yardstick_place *place, int64_t count, size_t size, int64_t window,
                            yardstick_result *result, char error[256]) {
    rd_kafka_t *rk = handle(RD_KAFKA_PRODUCER, place->producer, error);
    if (!rk) return -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, place->topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &metadata, 10000);
    if (code) return fail(error, place->topic, rd_kafka_err2str(code));
    rd_kafka_metadata_destroy(metadata);
    char *record = calloc(1, size);
    for (size_t i = 0; i < size; i++) record[i] = (char)(i * 31 + 7);
    reports r = {.queue = rd_kafka_queue_get_main(rk), .wanted = count};
    pthread_t thread;
    double began = now(), processor_began = processor();
    pthread_create(&thread, NULL, take_reports, &r);
    for (int64_t i = 0; i < count && !r.failed;) {
        if (i - __atomic_load_n(&r.reported, __ATOMIC_ACQUIRE) >= window) {
            usleep(20);
            continue;
        }
        if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, record, size, NULL, 0, (void *)(intptr_t)(i + 1)) == 0) {
            i++;
        } else if (rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            usleep(100);
        } else {
            r.failed = 1;
        }
    }
    pthread_join(thread, NULL);
    result->seconds = now() - began;
    result->processor_seconds = processor() - processor_began;
    rd_kafka_queue_destroy(r.queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    free(record);
    return r.failed ? fail(error, place->topic, "a record was not stored") : 0;
}

int yardstick_append(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result,
                     char error[256]) {
    return yardstick_append_window(place, count, size, INT64_MAX, result, error);
}

static volatile uint64_t seen;

int yardstick_tail(const yardstick_place *place, int64_t offset, int64_t count, yardstick_result *result,
                   char error[256]) {
    double began = now(), processor_began = processor();
    rd_kafka_t *rk = handle(RD_KAFKA_CONSUMER, place->reader, error);
    if (!rk) return -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, place->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_consume_start_queue(topic, 0, offset, queue);
    rd_kafka_message_t *messages[1000];
    int64_t read = 0, next = offset;
    uint64_t sum = 0;
    int failed = 0;
    while (read < count && !failed) {
        messages[0] = rd_kafka_consume_queue(queue, 1000);
        if (!messages[0]) continue;
        ssize_t got = rd_kafka_consume_batch_queue(queue, 0, messages + 1, 999);
        for (ssize_t i = 0; i <= got; i++) {
            if (messages[i]->err) {
                failed = messages[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF;
            } else {
                if (messages[i]->offset != next) failed = 1;
                next = messages[i]->offset + 1;
                rd_kafka_timestamp_type_t type;
                sum += (uint64_t)rd_kafka_message_timestamp(messages[i], &type);
                sum += ((unsigned char *)messages[i]->payload)[messages[i]->len - 1];
                read++;
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    seen = sum;
    result->seconds = now() - began;
    result->processor_seconds = processor() - processor_began;
    rd_kafka_consume_stop(topic, 0);
    rd_kafka_topic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return failed ? fail(error, place->topic, "records are missing") : 0;
}

static int one_by_one(const yardstick_place *place, int64_t count, size_t size, int reads_back,
                      yardstick_result *result, char error[256]) {
    rd_kafka_t *rk = handle(RD_KAFKA_PRODUCER, place->producer, error);
    if (!rk) return -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, place->topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, topic, &metadata, 10000);
    if (code) return fail(error, place->topic, rd_kafka_err2str(code));
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_queue_t *main = rd_kafka_queue_get_main(rk);
    rd_kafka_t *reader = NULL;
    rd_kafka_topic_t *read_topic = NULL;
    rd_kafka_queue_t *queue = NULL;
    if (reads_back) {
        reader = handle(RD_KAFKA_CONSUMER, place->reader, error);
        if (!reader) return -1;
        int64_t low = 0, high = 0;
        rd_kafka_query_watermark_offsets(reader, place->topic, 0, &low, &high, 10000);
        read_topic = rd_kafka_topic_new(reader, place->topic, NULL);
        queue = rd_kafka_queue_new(reader);
        rd_kafka_consume_start_queue(read_topic, 0, high, queue);
    }
    double *times = calloc((size_t)count, sizeof *times);
    char *record = calloc(1, size);
    int failed = 0;
    double began = now(), processor_began = processor();
    for (int64_t i = 0; i < count && !failed; i++) {
        double start = now();
        if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, record, size, NULL, 0, NULL)) failed = 1;
        for (int is_reported = 0; !is_reported && !failed;) {
            rd_kafka_event_t *event = rd_kafka_queue_poll(main, 1000);
            if (!event) continue;
            if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
                const rd_kafka_message_t *message;
                while ((message = rd_kafka_event_message_next(event))) {
                    if (message->err) failed = 1;
                    is_reported = 1;
                }
            }
            rd_kafka_event_destroy(event);
        }
        for (int is_read = !reads_back; !is_read && !failed;) {
            rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 1000);
            if (!message) continue;
            is_read = !message->err;
            rd_kafka_message_destroy(message);
        }
        times[i] = now() - start;
    }
    result->seconds = now() - began;
    result->processor_seconds = processor() - processor_began;
    result->median_seconds = median(times, count);
    free(times);
    free(record);
    rd_kafka_queue_destroy(main);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    if (reader) {
        rd_kafka_consume_stop(read_topic, 0);
        rd_kafka_topic_destroy(read_topic);
        rd_kafka_queue_destroy(queue);
        rd_kafka_destroy(reader);
    }
    return failed ? fail(error, place->topic, "a record was not stored") : 0;
}

int yardstick_awaited(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result,
                      char error[256]) {
    return one_by_one(place, count, size, 0, result, error);
}

int yardstick_read_back(const yardstick_place *place, int64_t count, size_t size, yardstick_result *result,
                        char error[256]) {
    return one_by_one(place, count, size, 1, result, error);
}

int yardstick_file(const char *path, int64_t batches, int64_t records, size_t size, yardstick_result *result,
                   char error[256]) {
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0) return fail(error, path, strerror(errno));
    size_t bytes = 48 + (size_t)records * (size + 8);
    char *batch = malloc(bytes);
    memset(batch, 0x5a, bytes);
    double *times = calloc((size_t)batches, sizeof *times);
    double began = now(), processor_began = processor();
    int failed = 0;
    for (int64_t i = 0; i < batches && !failed; i++) {
        double start = now();
        failed = write(file, batch, bytes) != (ssize_t)bytes || fdatasync(file) != 0;
        times[i] = now() - start;
    }
    result->seconds = now() - began;
    result->processor_seconds = processor() - processor_began;
    result->median_seconds = median(times, batches);
    free(times);
    free(batch);
    close(file);
    return failed ? fail(error, path, strerror(errno)) : 0;
}
