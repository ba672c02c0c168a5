/*
 * The list of a conf's mistakes. All are collected, told at once and in the
 * order of the file: whoever mends a conf should not learn of one mistake a
 * run.
 */
#ifndef NEARSIDE_APP_CONF_TEXT_ERRORS_H
#define NEARSIDE_APP_CONF_TEXT_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct conf_text;

enum {
    CONF_ERRORS_MAX = 100, /* more are counted, not kept */
};

struct conf_error {
    char *text;      /* owned: "file:12: what, and what was meant" */
    unsigned line;   /* of the text with its includes, for the order */
    bool is_warning; /* the file is still good */
};

struct conf_errors {
    struct conf_error items[CONF_ERRORS_MAX];
    size_t count;    /* of items */
    size_t mistakes; /* warnings apart; those dropped included */
};

void conf_errors_init(struct conf_errors *errors);
void conf_errors_fini(struct conf_errors *errors);

/* One line each, in the order of the file. */
void conf_errors_print(const struct conf_errors *errors, FILE *to);

/* text and line say where; line 0: the whole file; text NULL: no file, the
   command line is meant. */
void conf_errors_add(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_errors_warn(struct conf_errors *errors, const struct conf_text *text,
    unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* In the order of the lines, what concerns the whole file last. */
void conf_errors_sort(struct conf_errors *errors);

#endif
