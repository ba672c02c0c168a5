/*
 * The products of the sample API: a table in a real SQLite file. Each
 * statement that reads or changes it is counted, since that is what a cache
 * saves.
 */
#ifndef NEARSIDE_TESTS_PRODUCTS_H
#define NEARSIDE_TESTS_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct products;

/* What one query came to. */
enum product_rc {
    PRODUCT_OK,
    PRODUCT_CREATED,
    PRODUCT_MISSING, /* no such id */
    PRODUCT_EXISTS,  /* a creation of what is there already */
    PRODUCT_BAD,     /* the JSON is not an object with the fields needed */
    PRODUCT_BROKEN,  /* the database failed; it said so on stderr */
};

struct product {
    int64_t id;
    int64_t version;  /* grows with every write of any product */
    int64_t modified; /* seconds since 1970 */
    char json[1024];  /* {"id":"42","name":"Product 42","price":100} */
    size_t json_len;
};

/* The bytes of a write: not terminated, borrowed for the call. */
struct product_body {
    const char *ptr;
    size_t len;
};

/*
 * Opens the file, and fills it with `count` products in one transaction if
 * it has none yet. NULL: it cannot, and said why on stderr.
 */
struct products *products_open(const char *path, int64_t count);
void products_close(struct products **p);

uint64_t products_queries(const struct products *p);

/* OK, MISSING or BROKEN; *out is set only on OK. */
enum product_rc products_get(
    struct products *p, int64_t id, struct product *out);

/* Replaces or creates: OK, CREATED, BAD or BROKEN. */
enum product_rc products_put(struct products *p, int64_t id,
    struct product_body body, struct product *out);

/* Changes the fields that body names: OK, MISSING, BAD or BROKEN. */
enum product_rc products_patch(struct products *p, int64_t id,
    struct product_body body, struct product *out);

/* Creates; id 0 takes the next free one: CREATED, EXISTS, BAD or BROKEN. */
enum product_rc products_post(struct products *p, int64_t id,
    struct product_body body, struct product *out);

/* OK, MISSING or BROKEN. */
enum product_rc products_delete(struct products *p, int64_t id);

#endif
