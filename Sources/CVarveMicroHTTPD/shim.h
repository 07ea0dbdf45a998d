#pragma once
#include <microhttpd.h>

// What Swift cannot call: variadic functions, and the union behind the connection information.

typedef void *(*varve_mhd_target_callback)(void *cls, const char *target, struct MHD_Connection *connection);

// Leaves the target as it came: the owner splits it before it decodes.
static inline size_t varve_mhd_keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    size_t count = 0;
    while (text[count]) count++;
    return count;
}

// A daemon without a listening socket: connections are handed in by MHD_add_connection.
static inline struct MHD_Daemon *varve_mhd_start(
    void *cls, MHD_AccessHandlerCallback handler, varve_mhd_target_callback target,
    MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback connection, unsigned int threads,
    unsigned int connections_max, size_t connection_memory_bytes, unsigned int silence_seconds) {
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    // A pool of one is refused by the library; the option is left out then.
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handler, cls,
        MHD_OPTION_UNESCAPE_CALLBACK, &varve_mhd_keep_escapes, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, target, cls,
        MHD_OPTION_NOTIFY_COMPLETED, completed, cls,
        MHD_OPTION_NOTIFY_CONNECTION, connection, cls,
        MHD_OPTION_CONNECTION_LIMIT, connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory_bytes,
        MHD_OPTION_CONNECTION_TIMEOUT, silence_seconds,
        MHD_OPTION_ARRAY, pool,
        MHD_OPTION_END);
}

static inline int varve_mhd_descriptor(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? (int)info->connect_fd : -1;
}

static inline void *varve_mhd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// glibc declares this only for _GNU_SOURCE, which a module of headers cannot ask for.
extern int accept4(int listener, struct sockaddr *restrict address, socklen_t *restrict size, int flags);

static inline int varve_accept(int listener, struct sockaddr *address, socklen_t *size) {
    return accept4(listener, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
