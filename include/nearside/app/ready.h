/*
 * The health check of a container: asks the daemon that runs beside whether it
 * is ready, so that the image needs no other program for it.
 */
#ifndef NEARSIDE_APP_READY_H
#define NEARSIDE_APP_READY_H

#include <stdio.h>

#include "nearside/base/rc.h"

/*
 * Asks /readyz at `address`, which is what the conf says behind `metrics`,
 * such as "127.0.0.1:9145" or "unix:/path", and waits so long for each step.
 * Whatever is not 200 is told on `to` in one line. RC_OK: it answers 200.
 * RC_BAD: that is no address. RC_REFUSED: another status, as during a drain.
 * RC_IO: no connection or no answer.
 */
enum rc ready_ask(
    const char *address, unsigned timeout_ms, FILE *to) RC_MUST_CHECK;

#endif
