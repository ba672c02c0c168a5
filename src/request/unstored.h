/*
 * Watches for routes of which nothing is ever stored, and says so once: a
 * cookie that a script adds, or one field of the API, is enough for that, and
 * every single answer looks normal.
 */
#ifndef REQUEST_UNSTORED_H
#define REQUEST_UNSTORED_H

#include <stddef.h>

struct request;
struct unstored;

/* For the routes of a conf, of all workers. NULL: no memory. */
struct unstored *unstored_new(size_t routes_len);
void unstored_free(struct unstored **unstored);

/* The request is over, and its route is not settled in this worker yet. */
void unstored_watch(struct request *r);

#endif
