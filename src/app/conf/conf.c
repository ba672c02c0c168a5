/*
 * The public door: runs the steps that build.h lists. Each step adds its
 * mistakes to the list, and the next one goes on with what is left, so that
 * one run tells all of them. Only a broken grammar ends the work early. The
 * caller gets a conf only when there was no mistake.
 */
#include "nearside/app/conf/conf.h"

#include <errno.h>

#include "app/conf/build.h"
#include "nearside/base/check.h"

/* What the file says. RC_BAD: so broken that the whole cannot be judged. */
static enum rc
read_text(struct conf_build *build)
{
    enum rc rc = conf_walk(build);

    for (size_t i = 0; i < build->routes_len && rc == RC_OK; i++) {
        conf_route_inherit(build, &build->routes[i]);
    }
    return rc;
}

static enum rc
build_run(struct conf_build *build, const struct conf_flags *flags)
{
    enum rc rc = conf_build_init(build);

    if (rc == RC_OK && build->text != NULL) {
        rc = read_text(build);
    }
    if (rc == RC_OK) {
        rc = conf_flags_apply(build, flags);
    }
    if (rc == RC_OK) {
        rc = conf_check(build);
    }
    conf_errors_sort(build->errors);
    if (rc == RC_OK && build->errors->mistakes > 0) {
        rc = RC_BAD;
    }
    return rc == RC_LIMIT ? RC_BAD : rc;
}

static enum rc
text_open(struct conf_text *text, const char *path, struct conf_errors *errors)
{
    char *own_path = strdup(path);
    enum rc rc = RC_NOMEM;

    if (own_path != NULL) {
        rc = conf_text_add_file(text, own_path);
    }
    if (rc == RC_IO) {
        conf_errors_add(errors, text, 0, "cannot be read: %s", strerror(errno));
    }
    return rc;
}

enum rc
conf_load(const struct conf_flags *flags, struct conf_errors *errors,
    struct conf **out_conf)
{
    struct conf_text text = {.files_len = 0};
    struct conf_build build = {.errors = errors};
    enum rc rc = RC_OK;

    MUST(flags != NULL);
    MUST(errors != NULL);
    MUST(out_conf != NULL);
    if (flags->path != NULL) {
        build.text = &text;
        rc = text_open(&text, flags->path, errors);
    }
    if (rc == RC_OK) {
        rc = build_run(&build, flags);
    }
    if (rc == RC_OK) {
        rc = conf_build_finish(&build, out_conf);
    }
    conf_build_fini(&build);
    conf_text_fini(&text);
    return rc;
}
