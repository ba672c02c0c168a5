/* What the kernel knows of this process, as metrics. */
#ifndef APP_PROCESS_H
#define APP_PROCESS_H

#include "nearside/base/buf.h"

/* Appends process_* by the conventions of Prometheus' client libraries, in the
   text format. What the kernel does not tell is left out. RC_NOMEM, RC_LIMIT.
 */
enum rc process_render(struct buf *out) RC_MUST_CHECK;

#endif
