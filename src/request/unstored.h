/*
 * Counts why answers are not stored, and watches for routes of which nothing
 * is ever stored, which it says once: a cookie that a script adds, or one field
 * of the API, is enough for that, and every single answer looks normal.
 */
#ifndef REQUEST_UNSTORED_H
#define REQUEST_UNSTORED_H

#include <stddef.h>

struct metric_registry;
struct request;
struct unstored;

/* For the routes of a conf, of all workers. NULL: no memory. */
struct unstored *unstored_new(
    size_t routes_len, struct metric_registry *registry);
void unstored_free(struct unstored **unstored);

/* The request is over. The origin has answered it, or its route is not settled
   in this worker yet. */
void unstored_account(struct request *r);

#endif
