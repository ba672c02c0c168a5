/* What the files of the check share: how they tell of a mistake. */
#ifndef APP_CONF_CHECK_H
#define APP_CONF_CHECK_H

#include "app/conf/build.h"

/* The line that sets the option in the section itself; 0: no line does. */
unsigned conf_set_in(const struct conf_where *where, const char *name);

/* The same, or else the section's line; 0: the section is not in the file. */
unsigned conf_line_of(const struct conf_where *where, const char *name);

/* What stands on no line of the file was said on the command line. */
#define TELL(build, line, ...)                                                 \
    conf_errors_add((build)->errors, (line) == 0 ? NULL : (build)->text,       \
        (line), __VA_ARGS__)
#define WARN(build, line, ...)                                                 \
    conf_errors_warn((build)->errors, (line) == 0 ? NULL : (build)->text,      \
        (line), __VA_ARGS__)

/* Two options of a section contradict each other. The mistake is told where
   `option` is set. */
struct conf_rule {
    bool is_broken;
    const char *option;
    const char *what;
};

void conf_check_rules(struct conf_build *build, const struct conf_where *where,
    const struct conf_rule *rules, size_t count);

struct conf_texts {
    const char *const *items;
    size_t len;
};

/* Tells if there is no origin of that name; NULL is none. */
void conf_check_origin_name(
    struct conf_build *build, const char *name, unsigned line);

/* The routes and `defaults`. RC_NOMEM. */
enum rc conf_check_routes(struct conf_build *build) RC_MUST_CHECK;

/* What a route, or `defaults`, lets answers vary by. */
void conf_check_vary_on(struct conf_build *build, const struct route *o,
    const struct conf_where *where);

#endif
