/*
 * Stands before the allocator: the linker sends here what the objects of a
 * unit test ask of it (--wrap). A block that a library gave, such as asprintf,
 * is unknown here and is only handed on when it is released.
 */
#include "heap.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **out_p, size_t alignment, size_t size);
void __real_free(void *p);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **out_p, size_t alignment, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t max);
void __wrap_free(void *p);

enum {
    PLACES = 1 << 20, /* more than any test holds at once */
    FDS_MAX = 4096,
};

/* Live blocks: open addressing; GONE is where one was. */
static char gone;
#define GONE ((void *)&gone)
static void *places[PLACES];
static size_t blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool was_open[FDS_MAX];
static pid_t began_as;

static size_t blocks_before; /* a test began */

static _Thread_local unsigned refused_in;
static _Thread_local size_t refused_size;
static _Thread_local bool was_refused;

/* ---- what is live ------------------------------------------------------- */

static size_t
place_of(const void *p)
{
    return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 44);
}

static void *
known(void *p)
{
    size_t at = place_of(p);

    if (p == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&lock);
    while (places[at] != NULL && places[at] != GONE) {
        at = (at + 1) % PLACES;
    }
    places[at] = p;
    blocks++;
    pthread_mutex_unlock(&lock);
    return p;
}

static void
forget(void *p)
{
    size_t at = place_of(p);

    pthread_mutex_lock(&lock);
    while (places[at] != NULL && places[at] != p) {
        at = (at + 1) % PLACES;
    }
    if (p != NULL && places[at] == p) {
        places[at] = places[(at + 1) % PLACES] == NULL ? NULL : GONE;
        blocks--;
    }
    pthread_mutex_unlock(&lock);
}

size_t
heap_blocks(void)
{
    size_t n;

    pthread_mutex_lock(&lock);
    n = blocks;
    pthread_mutex_unlock(&lock);
    return n;
}

void
heap_begins(void)
{
    blocks_before = heap_blocks();
}

void
heap_ends(void)
{
    assert_int_equal(heap_blocks(), blocks_before);
}

/* ---- what is refused ---------------------------------------------------- */

void
heap_refuse(unsigned nth, size_t size)
{
    refused_in = nth;
    refused_size = size;
    was_refused = false;
}

bool
heap_refused(void)
{
    refused_in = 0;
    return was_refused;
}

static bool
is_refused(size_t size)
{
    if (refused_in == 0 || size < refused_size || --refused_in > 0) {
        return false;
    }
    was_refused = true;
    return true;
}

/* ---- the allocator ------------------------------------------------------ */

void *
__wrap_malloc(size_t size)
{
    return is_refused(size) ? NULL : known(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return is_refused(count * size) ? NULL : known(__real_calloc(count, size));
}

void *
__wrap_realloc(void *p, size_t size)
{
    void *moved;

    if (is_refused(size)) {
        return NULL;
    }
    /* Another thread may get the old place before this one says so. */
    forget(p);
    moved = __real_realloc(p, size);
    known(moved != NULL || size == 0 ? moved : p);
    return moved;
}

int
__wrap_posix_memalign(void **out_p, size_t alignment, size_t size)
{
    int error = is_refused(size)
                    ? ENOMEM
                    : __real_posix_memalign(out_p, alignment, size);

    if (error == 0) {
        known(*out_p);
    }
    return error;
}

char *
__wrap_strndup(const char *s, size_t max)
{
    size_t len = strnlen(s, max);
    char *copy = __wrap_malloc(len + 1);

    if (copy != NULL) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *
__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, SIZE_MAX);
}

void
__wrap_free(void *p)
{
    forget(p);
    __real_free(p);
}

/* ---- the end ------------------------------------------------------------ */

/* Tells each open file of the process. */
static void
each_file(void (*tell)(int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);

        if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < FDS_MAX) {
            tell(fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void
note_open(int fd)
{
    was_open[fd] = true;
}

static unsigned files_left;
static bool is_let_off;

void
heap_let_off(void)
{
    is_let_off = true;
}

static void
tell_left(int fd)
{
    char path[64], what[256] = "";

    if (was_open[fd]) {
        return;
    }
    files_left++;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, what, sizeof(what) - 1) >= 0) {
        fprintf(stderr, "file %d is still open: %s\n", fd, what);
    }
}

__attribute__((constructor)) static void
begin(void)
{
    began_as = getpid();
    each_file(note_open);
}

/* A child that a test forked has its parent's blocks. */
static void
end(int status, void *ctx)
{
    (void)ctx;
    if (status != 0 || is_let_off || getpid() != began_as) {
        return;
    }
    each_file(tell_left);
    if (blocks > 0) {
        fprintf(stderr,
            "%zu blocks of memory were not released; built with "
            "-DNEARSIDE_SANITIZE=address the test says which\n",
            blocks);
    }
    if (blocks > 0 || files_left > 0) {
        fflush(NULL);
        _exit(1);
    }
}

__attribute__((constructor)) static void
watch_end(void)
{
    on_exit(end, NULL);
}
