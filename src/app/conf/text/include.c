/*
 * Finds the files of an include. The folder of the file that includes is no
 * part of the pattern, so what looks like a pattern in its name is escaped.
 *
 * A pattern that matches nothing is no mistake: a folder for further files may
 * be empty or not be there yet. If the folder has files, the pattern is hardly
 * what was meant, and the caller is told of one of them. A folder that must not
 * be read is a mistake, since nobody can tell what is left out.
 */
#include "nearside/app/conf/text/include.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"

#define SIGNS "*?["

static bool
is_pattern(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '\0' && strchr(SIGNS, name.ptr[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* The folder, with its '/', that a name is relative to. */
static struct slice
folder_of(const char *from, struct slice name)
{
    const char *slash = strrchr(from, '/');

    return slice_of(from, slash == NULL || slice_starts(name, SLICE("/"))
                              ? 0
                              : (size_t)(slash - from) + 1);
}

/* Folder and name in one; escaped: the folder is matched as it is. */
static char *
path_new(struct slice folder, struct slice name, bool is_escaped)
{
    char *path = malloc(2 * folder.len + name.len + 1);
    size_t len = 0;

    for (size_t i = 0; path != NULL && i < folder.len; i++) {
        if (is_escaped && strchr(SIGNS "]\\", folder.ptr[i]) != NULL) {
            path[len++] = '\\';
        }
        path[len++] = folder.ptr[i];
    }
    if (path != NULL) {
        memcpy(path + len, name.ptr, name.len);
        path[len + name.len] = '\0';
    }
    return path;
}

static enum rc
add(struct conf_included *included, char *own_path)
{
    if (own_path == NULL) {
        return RC_NOMEM;
    }
    included->own_paths[included->len++] = own_path;
    return RC_OK;
}

/* May be called again and again; another errno than these ends the search. */
static int
on_folder_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

/* A file of the folder that the pattern is about, for the caller to free; NULL:
   there is none, or no memory to tell. */
static char *
other_file(const char *pattern)
{
    const char *slash = strrchr(pattern, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - pattern) + 1;
    char *all = malloc(len + sizeof("*"));
    char *other = NULL;
    glob_t found = {0};

    if (all == NULL) {
        return NULL;
    }
    memcpy(all, pattern, len);
    memcpy(all + len, "*", sizeof("*"));
    if (glob(all, GLOB_MARK, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && other == NULL; i++) {
            const char *path = found.gl_pathv[i];
            other = path[strlen(path) - 1] == '/' ? NULL : strdup(path);
        }
    }
    globfree(&found);
    free(all);
    return other;
}

static enum rc
find_matches(struct conf_included *included, const char *pattern)
{
    glob_t found = {0};
    int status = glob(pattern, 0, on_folder_error, &found);
    int error = errno;
    enum rc rc = RC_OK;

    if (status != 0 && status != GLOB_NOMATCH) {
        globfree(&found);
        errno = error;
        return status == GLOB_ABORTED ? RC_IO : RC_NOMEM;
    }
    included->own_paths = calloc(found.gl_pathc + 1, sizeof(char *));
    rc = included->own_paths == NULL ? RC_NOMEM : RC_OK;
    for (size_t i = 0; i < found.gl_pathc && rc == RC_OK; i++) {
        rc = add(included, strdup(found.gl_pathv[i]));
    }
    globfree(&found);
    return rc;
}

enum rc
conf_include_find(
    struct conf_included *included, const char *from, struct slice name)
{
    struct slice folder = folder_of(from, name);
    char *own_path = path_new(folder, name, is_pattern(name));
    enum rc rc = RC_NOMEM;

    MUST(name.len > 0);
    *included = (struct conf_included){.len = 0};
    if (own_path == NULL) {
        return RC_NOMEM;
    }
    if (is_pattern(name)) {
        rc = find_matches(included, own_path);
        if (rc == RC_OK && included->len == 0 && slice_find(name, '/') >= 0) {
            included->own_other = other_file(own_path);
        }
        free(own_path);
    } else {
        included->own_paths = calloc(1, sizeof(char *));
        if (included->own_paths == NULL) {
            free(own_path);
            return RC_NOMEM;
        }
        rc = add(included, own_path);
    }
    if (rc != RC_OK) {
        int error = errno;

        conf_include_fini(included);
        errno = error;
    }
    return rc;
}

char *
conf_include_take(struct conf_included *included)
{
    MUST(included->taken <= included->len);
    return included->taken == included->len
               ? NULL
               : included->own_paths[included->taken++];
}

void
conf_include_fini(struct conf_included *included)
{
    while (included->taken < included->len) {
        free(conf_include_take(included));
    }
    free(included->own_paths);
    free(included->own_other);
    *included = (struct conf_included){.len = 0};
}
