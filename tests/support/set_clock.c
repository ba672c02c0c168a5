/*
 * A wall clock that a test sets: loaded before libc, it adds what the file
 * named by SET_CLOCK holds, an int64_t in milliseconds, to CLOCK_REALTIME. No
 * other clock is touched. The file may be written while the program runs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ms;

__attribute__((constructor)) static void
open_file(void)
{
    const char *path = getenv("SET_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        void *at = mmap(NULL, sizeof(*offset_ms), PROT_READ, MAP_SHARED, fd, 0);

        offset_ms = at == MAP_FAILED ? NULL : at;
        close(fd);
    }
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && id == CLOCK_REALTIME && offset_ms != NULL) {
        int64_t ms = *offset_ms + ts->tv_nsec / 1000000;
        int64_t second = ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);

        ts->tv_sec += second;
        ts->tv_nsec = (ms - second * 1000) * 1000000 + ts->tv_nsec % 1000000;
    }
    return rc;
}
