/* A command's bytes (RESP, an array of bulk strings). */
#ifndef REDIS_COMMAND_H
#define REDIS_COMMAND_H

#include "nearside/base/slice.h"

/* How many bytes they are. */
size_t command_len(unsigned argc, const struct slice *argv);

/* Writes them at a place with room for so many; the place behind them. */
char *command_put(char *at, unsigned argc, const struct slice *argv);

#endif
