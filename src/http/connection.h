/* Connection (RFC 9110 7.6.1), as the parser reads it. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "nearside/http/parse.h"

/*
 * Decides h->is_keep_alive of a head that has a Connection (repeated: several
 * of them); its minor, fields and field_set are filled.
 */
enum parse_fault connection_judge(struct head *h, bool is_repeated);

#endif
