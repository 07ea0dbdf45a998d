#pragma once
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

// Which file stands at a path, or under a descriptor (an empty name): its device and inode, and nothing more. On Linux a
// look at a file's times makes the next write give it finer ones, which the next sync then has to put into the journal;
// `stat` always looks at them, `statx` only when asked. The C library declares it to GNU programs alone.
#if defined(__linux__)
#include <errno.h>
#include <linux/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// -1 with `errno`, as the call has it.
static inline int varve_file_identity(int at, const char *name, uint64_t *device, uint64_t *inode) {
    struct statx found;
    // 0x1000 is AT_EMPTY_PATH.
    long result = syscall(SYS_statx, at, name, name[0] == 0 ? 0x1000 : 0, STATX_INO, &found);
    if (result < 0 && (errno == ENOSYS || errno == EPERM)) {
        // An old kernel, or a container's filter that does not know the call.
        struct stat known;
        if ((name[0] == 0 ? fstat(at, &known) : stat(name, &known)) < 0) { return -1; }
        *device = (uint64_t)major(known.st_dev) << 32 | minor(known.st_dev);
        *inode = known.st_ino;
        return 0;
    }
    if (result < 0) { return -1; }
    *device = (uint64_t)found.stx_dev_major << 32 | found.stx_dev_minor;
    *inode = found.stx_ino;
    return 0;
}
#else
static inline int varve_file_identity(int at, const char *name, uint64_t *device, uint64_t *inode) {
    struct stat found;
    if ((name[0] == 0 ? fstat(at, &found) : stat(name, &found)) < 0) { return -1; }
    *device = (uint64_t)found.st_dev;
    *inode = found.st_ino;
    return 0;
}
#endif
