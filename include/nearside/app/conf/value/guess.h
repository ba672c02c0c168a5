/* Which name was meant by one that is not known: the nearest one by the
   Damerau-Levenshtein distance, in which a swap of two letters counts one. */
#ifndef NEARSIDE_APP_CONF_VALUE_GUESS_H
#define NEARSIDE_APP_CONF_VALUE_GUESS_H

#include "nearside/base/slice.h"

struct conf_guess {
    struct slice name;  /* what was written */
    struct slice found; /* what may have been meant; empty: nothing yet */
    unsigned distance;  /* between the two */
};

/* Takes the candidate if it is near enough, and nearer than what was found. */
void conf_guess_at(struct conf_guess *guess, struct slice candidate);

#endif
