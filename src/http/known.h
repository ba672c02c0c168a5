/* Names known by heart, for those who have them in a larger buffer. */
#ifndef HTTP_KNOWN_H
#define HTTP_KNOWN_H

#include "nearside/http/head.h"

/* As field_id_of; len rounded up to a multiple of 8 bytes can be read. */
enum field_id field_id_padded(const char *name, size_t len);

#endif
