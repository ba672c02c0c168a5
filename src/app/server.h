/* The daemon's life, from a checked configuration to its last breath. */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "nearside/app/conf/conf.h"

/* Serves until told to end. Returns the exit status: 0, or 1 when it could
   not start, which was said on stderr. */
int server_run(const struct conf *conf);

#endif
