/*
 * The password, which may change while the process runs: when a server refuses
 * it, its file is read again. Any thread.
 */
#ifndef REDIS_SECRET_H
#define REDIS_SECRET_H

#include "nearside/redis/redis.h"

struct secret;

/* Of these options, which outlive it. NULL: no memory. */
struct secret *secret_new(const struct redis_opts *opts);
void secret_free(struct secret **secret);

/* Copies it to out, and says how long it is; 0: there is none. */
size_t secret_get(struct secret *secret, char out[REDIS_PASSWORD_MAX]);

/* Reads the file again, which blocks. RC_OK: it has another password, which is
   given from now on. RC_MISS: the same, or no file is meant. RC_IO, RC_BAD: it
   cannot be read, or is no password. RC_NOMEM. */
enum rc secret_read(struct secret *secret) RC_MUST_CHECK;

#endif
