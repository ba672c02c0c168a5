/*
 * Clocks that a test sets: loaded before libc, it adds to CLOCK_REALTIME, and
 * to the clocks that count what has passed, what the file named by SET_CLOCK
 * holds: an int64_t in milliseconds for the one, and one for all the others. No
 * other clock is touched, and nobody is woken. The file may be written while
 * the program runs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    WALL,
    PASSED,
    OFFSETS,
};

static const volatile int64_t *offsets_ms;

__attribute__((constructor)) static void
open_file(void)
{
    const char *path = getenv("SET_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        void *at = mmap(
            NULL, OFFSETS * sizeof(*offsets_ms), PROT_READ, MAP_SHARED, fd, 0);

        offsets_ms = at == MAP_FAILED ? NULL : at;
        close(fd);
    }
}

static int64_t
offset_of(clockid_t id)
{
    switch (id) {
    case CLOCK_REALTIME:
        return offsets_ms[WALL];
    case CLOCK_BOOTTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE: /* libevent's */
        return offsets_ms[PASSED];
    default:
        return 0;
    }
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && offsets_ms != NULL) {
        int64_t ms = offset_of(id) + ts->tv_nsec / 1000000;
        int64_t second = ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);

        ts->tv_sec += second;
        ts->tv_nsec = (ms - second * 1000) * 1000000 + ts->tv_nsec % 1000000;
    }
    return rc;
}
