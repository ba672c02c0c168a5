/* The distance of two names, and which of them is near enough. */
#include "nearside/app/conf/value/guess.h"

enum {
    FAR = 1 << 30,
    LEN_MAX = 64, /* longer names resemble nothing */
};

static unsigned
min2(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Small letters and capitals are the same: TTL is ttl. */
static unsigned
distance(struct slice a, struct slice b)
{
    unsigned rows[3][LEN_MAX + 1] = {{0}};
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];

    if (a.len > LEN_MAX || b.len > LEN_MAX) {
        return FAR;
    }
    for (unsigned j = 0; j <= b.len; j++) {
        last[j] = j;
    }
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *free_row = before;

        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned cost =
                ascii_lower(a.ptr[i - 1]) != ascii_lower(b.ptr[j - 1]);

            row[j] = min2(min2(last[j], row[j - 1]) + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
                a.ptr[i - 2] == b.ptr[j - 1]) {
                row[j] = min2(row[j], before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.len];
}

void
conf_guess_at(struct conf_guess *guess, struct slice candidate)
{
    struct slice name = guess->name;
    unsigned far = distance(name, candidate);
    /* A third of the letters may be wrong, and one of a short word: beyond, a
       guess misleads, as from 'port' to 'host'. */
    unsigned enough = name.len < 5 ? 1 : (unsigned)(name.len + 2) / 3;

    if (far <= enough && (guess->found.len == 0 || far < guess->distance)) {
        guess->found = candidate;
        guess->distance = far;
    }
}
