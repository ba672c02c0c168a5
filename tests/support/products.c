/*
 * One connection to one SQLite file, statements prepared once. SQLite's own
 * JSON functions read and write the representation, so that there is no
 * second parser here to go wrong.
 *
 * A write takes its version from a counter in the file: a product that is
 * deleted and made again never gets an ETag it had before.
 */
#include "products.h"

#include <sqlite3.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL, price NUMERIC NOT NULL, version INTEGER NOT NULL,"
    " modified INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS sequence (one INTEGER PRIMARY KEY"
    " CHECK (one = 1), last INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO sequence VALUES (1, 1);";

#define NOW "CAST(strftime('%s', 'now') AS INTEGER)"

/* 58: product 42 then costs 100, as in the README's example. */
static const char SQL_FILL[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < ?3) INSERT INTO products SELECT i, 'Product ' || i,"
    " 58 + i % 1000, 1, " NOW " FROM n"
    " WHERE ?3 > 0 AND NOT EXISTS (SELECT 1 FROM products)";

/* ?1 is an id, ?2 a body, ?3 a count. */
enum statement {
    ST_FILL,
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_BUMP,
    ST_IS_WHOLE,
    ST_IS_PART,
    ST_GET, /* from here on: what counts as a query for a product */
    ST_NEXT,
    ST_PUT,
    ST_PATCH,
    ST_DELETE,
    ST_COUNT,
};

static const char *const SQL[ST_COUNT] = {
    [ST_FILL] = SQL_FILL,
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_GET] =
        "SELECT id, version, modified,"
        " json_object('id', CAST(id AS TEXT), 'name', name, 'price', price)"
        " FROM products WHERE id = ?1",
    [ST_BUMP] = "UPDATE sequence SET last = last + 1",
    [ST_IS_WHOLE] =
        "SELECT json_valid(?2) AND json_type(?2) = 'object'"
        " AND coalesce(json_type(?2, '$.name') = 'text', 0)"
        " AND coalesce(json_type(?2, '$.price') IN ('integer', 'real'), 0)",
    [ST_IS_PART] =
        "SELECT json_valid(?2) AND json_type(?2) = 'object'"
        " AND coalesce(json_type(?2, '$.name') = 'text', 1)"
        " AND coalesce(json_type(?2, '$.price') IN ('integer', 'real'), 1)",
    [ST_NEXT] = "SELECT coalesce(max(id), 0) + 1 FROM products",
    [ST_PUT] = "INSERT OR REPLACE INTO products SELECT ?1,"
               " json_extract(?2, '$.name'), json_extract(?2, '$.price'),"
               " last, " NOW " FROM sequence",
    [ST_PATCH] = "UPDATE products SET"
                 " name = coalesce(json_extract(?2, '$.name'), name),"
                 " price = coalesce(json_extract(?2, '$.price'), price),"
                 " version = (SELECT last FROM sequence), modified = " NOW
                 " WHERE id = ?1",
    [ST_DELETE] = "DELETE FROM products WHERE id = ?1",
};

struct products {
    sqlite3 *db;
    sqlite3_stmt *statements[ST_COUNT];
    uint64_t queries;
};

/* What a statement is given; those it does not name are ignored. */
struct args {
    int64_t id;
    struct product_body body;
    int64_t count;
};

static void
complain(struct products *p, const char *what)
{
    fprintf(stderr, "sample-origin: %s: %s\n", what,
        p->db == NULL ? "no memory" : sqlite3_errmsg(p->db));
}

/* Runs to its first row or its end; the caller resets after reading. */
static int
run(struct products *p, enum statement which, const struct args *args)
{
    sqlite3_stmt *st = p->statements[which];
    int parameters = sqlite3_bind_parameter_count(st);
    int rc;

    sqlite3_reset(st);
    if (parameters >= 1) {
        sqlite3_bind_int64(st, 1, args->id);
    }
    if (parameters >= 2) {
        sqlite3_bind_text(
            st, 2, args->body.ptr, (int)args->body.len, SQLITE_STATIC);
    }
    if (parameters >= 3) {
        sqlite3_bind_int64(st, 3, args->count);
    }
    p->queries += which >= ST_GET;
    rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        complain(p, SQL[which]);
    }
    return rc;
}

/* Runs one that answers no row. */
static bool
did(struct products *p, enum statement which, const struct args *args)
{
    int rc = run(p, which, args);

    sqlite3_reset(p->statements[which]);
    return rc == SQLITE_DONE;
}

/* Runs one that answers one number; -1 if it cannot. */
static int64_t
number(struct products *p, enum statement which, const struct args *args)
{
    int64_t n = -1;

    if (run(p, which, args) == SQLITE_ROW) {
        n = sqlite3_column_int64(p->statements[which], 0);
    }
    sqlite3_reset(p->statements[which]);
    return n;
}

static bool
prepare(struct products *p)
{
    for (int i = 0; i < ST_COUNT; i++) {
        if (sqlite3_prepare_v3(p->db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
                &p->statements[i], NULL) != SQLITE_OK) {
            complain(p, SQL[i]);
            return false;
        }
    }
    return true;
}

/* Schema and products appear together or not at all. */
static bool
fill(struct products *p, int64_t count)
{
    struct args args = {.count = count};

    return did(p, ST_BEGIN, &args) && did(p, ST_FILL, &args) &&
           did(p, ST_COMMIT, &args);
}

struct products *
products_open(const char *path, int64_t count)
{
    struct products *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    if (sqlite3_open(path, &p->db) != SQLITE_OK) {
        complain(p, path);
        products_close(&p);
        return NULL;
    }
    sqlite3_busy_timeout(p->db, 5000);
    /* A lost last write costs a sample nothing; waiting for a disk would. */
    if (sqlite3_exec(p->db,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF", NULL, NULL,
            NULL) != SQLITE_OK ||
        sqlite3_exec(p->db, SQL_SCHEMA, NULL, NULL, NULL) != SQLITE_OK) {
        complain(p, path);
        products_close(&p);
        return NULL;
    }
    if (!prepare(p) || !fill(p, count)) {
        products_close(&p);
        return NULL;
    }
    return p;
}

void
products_close(struct products **own_p)
{
    struct products *p = *own_p;

    *own_p = NULL;
    if (p == NULL) {
        return;
    }
    for (int i = 0; i < ST_COUNT; i++) {
        sqlite3_finalize(p->statements[i]);
    }
    sqlite3_close(p->db);
    free(p);
}

uint64_t
products_queries(const struct products *p)
{
    return p->queries;
}

enum product_rc
products_get(struct products *p, int64_t id, struct product *out)
{
    sqlite3_stmt *st = p->statements[ST_GET];
    int rc = run(p, ST_GET, &(struct args){.id = id});
    enum product_rc verdict = PRODUCT_BROKEN;

    if (rc == SQLITE_ROW) {
        out->id = sqlite3_column_int64(st, 0);
        out->version = sqlite3_column_int64(st, 1);
        out->modified = sqlite3_column_int64(st, 2);
        out->json_len = (size_t)snprintf(out->json, sizeof(out->json), "%s",
            (const char *)sqlite3_column_text(st, 3));
        /* A write with a name this long was refused. */
        verdict =
            out->json_len < sizeof(out->json) ? PRODUCT_OK : PRODUCT_BROKEN;
    } else if (rc == SQLITE_DONE) {
        verdict = PRODUCT_MISSING;
    }
    sqlite3_reset(st);
    return verdict;
}

/* The change itself, between BEGIN and COMMIT. */
static enum product_rc
change(struct products *p, enum statement which, const struct args *args,
    struct product *out)
{
    if (!did(p, ST_BUMP, args) || !did(p, which, args)) {
        return PRODUCT_BROKEN;
    }
    if (sqlite3_changes(p->db) == 0) {
        return PRODUCT_MISSING;
    }
    return out == NULL ? PRODUCT_OK : products_get(p, args->id, out);
}

static enum product_rc
change_at_once(struct products *p, enum statement which,
    const struct args *args, struct product *out)
{
    enum product_rc rc;

    if (!did(p, ST_BEGIN, args)) {
        return PRODUCT_BROKEN;
    }
    rc = change(p, which, args, out);
    if (rc == PRODUCT_OK && did(p, ST_COMMIT, args)) {
        return PRODUCT_OK;
    }
    did(p, ST_ROLLBACK, args);
    return rc == PRODUCT_OK ? PRODUCT_BROKEN : rc;
}

/* Half of the room a product's JSON has: escapes may double its bytes. */
static bool
is_body(
    struct products *p, enum statement which, const struct product_body *body)
{
    return body->len > 0 &&
           body->len <= sizeof(((struct product *)0)->json) / 2 &&
           number(p, which, &(struct args){.body = *body}) == 1;
}

enum product_rc
products_put(struct products *p, int64_t id, struct product_body body,
    struct product *out)
{
    struct args args = {.id = id, .body = body};
    enum product_rc before;
    enum product_rc rc;

    if (!is_body(p, ST_IS_WHOLE, &body)) {
        return PRODUCT_BAD;
    }
    before = products_get(p, id, out);
    rc = change_at_once(p, ST_PUT, &args, out);
    return rc == PRODUCT_OK && before == PRODUCT_MISSING ? PRODUCT_CREATED : rc;
}

enum product_rc
products_patch(struct products *p, int64_t id, struct product_body body,
    struct product *out)
{
    if (!is_body(p, ST_IS_PART, &body)) {
        return PRODUCT_BAD;
    }
    return change_at_once(
        p, ST_PATCH, &(struct args){.id = id, .body = body}, out);
}

enum product_rc
products_post(struct products *p, int64_t id, struct product_body body,
    struct product *out)
{
    struct args args = {.id = id, .body = body};
    enum product_rc rc;

    if (!is_body(p, ST_IS_WHOLE, &body)) {
        return PRODUCT_BAD;
    }
    if (id == 0) {
        args.id = number(p, ST_NEXT, &args);
    } else if (products_get(p, id, out) == PRODUCT_OK) {
        return PRODUCT_EXISTS;
    }
    rc = change_at_once(p, ST_PUT, &args, out);
    return rc == PRODUCT_OK ? PRODUCT_CREATED : rc;
}

enum product_rc
products_delete(struct products *p, int64_t id)
{
    return change_at_once(p, ST_DELETE, &(struct args){.id = id}, NULL);
}
