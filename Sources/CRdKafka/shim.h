#pragma once
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#ifdef __linux__
#include <sys/prctl.h>
#else
#include <pthread.h>
#endif

/* rd_kafka_producev takes a variable list of arguments, which Swift cannot call. */
static inline rd_kafka_resp_err_t varve_produce_at(
    rd_kafka_t *handle, const char *topic, const void *value, size_t size, int64_t milliseconds) {
    return rd_kafka_producev(
        handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)value, size), RD_KAFKA_V_TIMESTAMP(milliseconds), RD_KAFKA_V_END);
}

/* Names the calling thread, for debuggers and profilers; at most 15 bytes. Variadic in one C library, hidden in another. */
static inline void varve_name_thread(const char *name) {
#ifdef __linux__
    prctl(PR_SET_NAME, name, 0, 0, 0);
#else
    pthread_setname_np(name);
#endif
}
