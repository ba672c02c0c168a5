/*
 * The lexer: from the files of a conf to its tokens. Comments are left out,
 * includes are put in, escapes and variables have become what they mean.
 * Whatever is wrong inside of a token is told here.
 */
#ifndef NEARSIDE_APP_CONF_TEXT_LEX_H
#define NEARSIDE_APP_CONF_TEXT_LEX_H

#include "nearside/app/conf/text/errors.h"
#include "nearside/app/conf/text/include.h"
#include "nearside/app/conf/text/text.h"
#include "nearside/base/arena.h"

enum conf_token_kind {
    CONF_TOKEN_END,
    CONF_TOKEN_WORD,
    CONF_TOKEN_STRING,
    CONF_TOKEN_OPEN,
    CONF_TOKEN_CLOSE,
    CONF_TOKEN_EQUALS,
    CONF_TOKEN_COMMA,
    CONF_TOKEN_PLUS_EQUALS, /* has no place in the grammar */
};

struct conf_token {
    enum conf_token_kind kind;
    unsigned line;      /* of the text */
    struct slice text;  /* as written, with its quotes; into a file */
    struct slice value; /* what it means; into a file or the arena */
    bool is_told;       /* something in it was wrong */
    bool has_variable;
};

enum {
    CONF_DEPTH_MAX = 8, /* of includes; a loop ends here */
};

/* The option whose value is never shown, nor what stands beside it. */
#define CONF_SECRET "password"

struct conf_lexer {
    struct conf_text *text;
    struct conf_errors *errors;
    struct arena *arena;
    struct conf_source {
        struct slice rest;
        unsigned file;
        unsigned line;                 /* of the file */
        struct conf_included included; /* by what was read last of it */
    } sources[CONF_DEPTH_MAX + 1];
    unsigned depth;
    unsigned line;           /* of the text, where the lexer is */
    struct buf value;        /* of the token under way */
    bool is_secret;          /* that token is the value of CONF_SECRET */
    unsigned secret_line;    /* where such a value stands; 0: none yet */
    enum rc rc;              /* RC_NOMEM, and the rest seems empty */
    struct conf_token token; /* where the reader is */
    struct conf_token ahead; /* the one behind it */
};

/* Begins with the text's only file so far. The text, the errors and the arena
   must last as long as the tokens. */
void conf_lexer_init(struct conf_lexer *l, struct conf_text *text,
    struct conf_errors *errors, struct arena *arena);

/* Tells also what is wrong in the tokens that were not looked at. */
void conf_lexer_fini(struct conf_lexer *l);

/* Goes on by one token. */
void conf_lexer_next(struct conf_lexer *l);

static inline bool
conf_token_is_value(const struct conf_token *t)
{
    return t->kind == CONF_TOKEN_WORD || t->kind == CONF_TOKEN_STRING;
}

#endif
