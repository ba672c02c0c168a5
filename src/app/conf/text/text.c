/* The files of a conf, where each line of the text came from, and what names
   are made of. */
#include "nearside/app/conf/text/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nearside/base/check.h"

void
conf_text_fini(struct conf_text *t)
{
    for (unsigned i = 0; i < t->files_len; i++) {
        struct conf_file *file = &t->files[i];

        free(file->path);
        if (file->bytes.data != NULL) {
            explicit_bzero(file->bytes.data, file->bytes.cap);
        }
        buf_fini(&file->bytes);
    }
    *t = (struct conf_text){.files_len = 0};
}

static struct conf_file *
file_add(struct conf_text *t, char *own_path)
{
    struct conf_file *file = &t->files[t->files_len];

    MUST(t->files_len < ARRAY_LEN(t->files));
    MUST(own_path != NULL);
    t->files_len++;
    file->path = own_path;
    buf_init(&file->bytes, CONF_TEXT_MAX - t->bytes_len);
    return file;
}

/* Reads to the end. False: errno says what was wrong. */
static bool
read_all(int fd, struct buf *out)
{
    ssize_t n;

    do {
        char *room = buf_reserve(out, 4096);

        errno = buf_len(out) + 4096 > out->max ? EFBIG : ENOMEM;
        n = room == NULL ? -1 : read(fd, room, 4096);
        buf_commit(out, n > 0 ? (size_t)n : 0);
    } while (n > 0);
    return n == 0;
}

enum rc
conf_text_add_file(struct conf_text *t, char *own_path)
{
    struct conf_file *file = file_add(t, own_path);
    struct stat st;
    bool is_read = false;
    int error;
    int fd = open(own_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        return RC_IO;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
    } else {
        file->is_private = (st.st_mode & (S_IRGRP | S_IROTH)) == 0;
        is_read = read_all(fd, &file->bytes);
        t->bytes_len += buf_len(&file->bytes);
    }
    error = errno;
    close(fd);
    errno = error;
    return is_read ? RC_OK : RC_IO;
}

void
conf_text_run(struct conf_text *t, unsigned begin, unsigned file, unsigned line)
{
    MUST(file < t->files_len);
    MUST(t->runs_len < ARRAY_LEN(t->runs));
    t->runs[t->runs_len++] = (struct conf_run){begin, file, line};
}

struct conf_place
conf_text_place(const struct conf_text *t, unsigned line)
{
    unsigned i = t->runs_len;
    const struct conf_run *run;

    MUST(i > 0);
    MUST(line >= t->runs[0].begin);
    while (line < t->runs[i - 1].begin) {
        i--;
    }
    run = &t->runs[i - 1];
    return (struct conf_place){
        &t->files[run->file], run->line + (line - run->begin)};
}

bool
conf_text_is_of(struct slice s, const char *besides)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!isalnum((unsigned char)c) &&
            (c == '\0' || strchr(besides, c) == NULL)) {
            return false;
        }
    }
    return true;
}

bool
conf_text_is_name(struct slice s)
{
    return s.len > 0 && !isdigit((unsigned char)s.ptr[0]) &&
           conf_text_is_of(s, "_");
}
