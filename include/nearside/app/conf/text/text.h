/*
 * The files of a conf as one text: its lines are counted through, those of an
 * included file between the lines of the file that includes it. Such a number
 * says where a mistake is, and in which order mistakes are told.
 */
#ifndef NEARSIDE_APP_CONF_TEXT_TEXT_H
#define NEARSIDE_APP_CONF_TEXT_TEXT_H

#include <stdbool.h>

#include "nearside/base/buf.h"

enum {
    CONF_TEXT_MAX = 4 * 1024 * 1024, /* bytes of all files */
    CONF_FILES_MAX = 256,            /* included ones counted */
};

struct conf_file {
    char *path;       /* owned */
    struct buf bytes; /* wiped in the end: they may hold a secret */
    bool is_private;  /* nobody but its owner may read it */
};

/* Lines of the text that come from one file in a row. */
struct conf_run {
    unsigned begin; /* the first one's number in the text, from 1 */
    unsigned file;
    unsigned line; /* the first one's number in its file */
};

struct conf_text {
    struct conf_file files[CONF_FILES_MAX + 1]; /* and the password's */
    unsigned files_len;
    size_t bytes_len; /* of all files */
    struct conf_run runs[2 * CONF_FILES_MAX];
    unsigned runs_len;
};

/* All files are given back. */
void conf_text_fini(struct conf_text *t);

/* Adds a file; own_path is the text's from here. RC_IO: it cannot be read,
   errno says why. There must be room. */
enum rc conf_text_add_file(struct conf_text *t, char *own_path) RC_MUST_CHECK;

/* From the text's line `begin` on it goes on in line `line` of the file. */
void conf_text_run(
    struct conf_text *t, unsigned begin, unsigned file, unsigned line);

/* Has it nothing but letters, digits and bytes of `besides`? */
bool conf_text_is_of(struct slice s, const char *besides);

/* Is it a name as C has them? */
bool conf_text_is_name(struct slice s);

/* Where a line of the text came from. */
struct conf_place {
    const struct conf_file *file;
    unsigned line;
};
struct conf_place conf_text_place(const struct conf_text *t, unsigned line);

#endif
