/*
 * Writing to what may have a reader that hangs: a pipe that is full, a
 * terminal that is stopped. Nothing here waits without an end, whatever the
 * flags of the descriptor, which other processes may share.
 */
#ifndef NEARSIDE_BASE_SAY_H
#define NEARSIDE_BASE_SAY_H

#include <sys/types.h>

/* As write(2), but it never waits: -1 with EAGAIN when nothing is taken now.
   A file on a disk is written as it is. At most PIPE_BUF bytes at a time. */
ssize_t say_now(int fd, const char *data, size_t len);

/* A line for whoever started the process, on stderr, without its newline. When
   the reader does not take it within 100 ms it is dropped. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for text that has its newlines. */
void say_all(const char *text, size_t len);

#endif
