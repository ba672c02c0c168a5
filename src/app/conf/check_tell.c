/* How the check tells of a mistake, and what its files look for. */
#include "app/conf/check.h"
#include "nearside/app/conf/value/guess.h"
#include "nearside/base/check.h"

unsigned
conf_set_in(const struct conf_where *where, const char *name)
{
    const struct conf_option *option =
        conf_option_find(where->section, slice_of_str(name));

    MUST(option != NULL);
    return where->options[conf_option_index(option)];
}

unsigned
conf_line_of(const struct conf_where *where, const char *name)
{
    unsigned line = conf_set_in(where, name);

    return line == 0 ? where->line : line;
}

void
conf_check_rules(struct conf_build *build, const struct conf_where *where,
    const struct conf_rule *rules, size_t count)
{
    MUST(rules != NULL);
    for (size_t i = 0; i < count; i++) {
        if (rules[i].is_broken) {
            TELL(build, conf_line_of(where, rules[i].option), "%s",
                rules[i].what);
        }
    }
}

void
conf_check_origin_name(
    struct conf_build *build, const char *name, unsigned line)
{
    struct conf_guess guess = {.name = slice_of_str(name)};

    if (name == NULL ||
        conf_section_at(build, CONF_ORIGIN, slice_of_str(name)) != NULL) {
        return;
    }
    for (size_t i = 0; i < build->origins_len; i++) {
        conf_guess_at(&guess, slice_of_str(build->origins[i].opts.name));
    }
    TELL(build, line, "there is no origin '%s'%s%.*s%s", name,
        guess.found.len == 0 ? "" : "; did you mean '", SLICE_FMT(guess.found),
        guess.found.len == 0 ? "" : "'?");
}
