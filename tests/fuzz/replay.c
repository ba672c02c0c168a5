/*
 * Shows a fuzzer's entry the files named, and all files of the directories
 * named: what once was found is never found again, with any compiler.
 */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

enum {
    INPUT_MAX = 1 << 20,
};

/* Returns 1, or 0 when the file cannot be read. */
static unsigned
replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(INPUT_MAX);
    size_t len;

    MUST(bytes != NULL);
    if (file == NULL) {
        perror(path);
        free(bytes);
        return 0;
    }
    len = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    LLVMFuzzerTestOneInput((const uint8_t *)bytes, len);
    free(bytes);
    return 1;
}

static unsigned
replay_dir(DIR *dir, const char *path)
{
    char name[4096];
    unsigned count = 0;

    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.') {
            continue;
        }
        int len = snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        MUST(len > 0 && (size_t)len < sizeof(name));
        count += replay_file(name);
    }
    return count;
}

int
main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        count += dir != NULL ? replay_dir(dir, argv[i]) : replay_file(argv[i]);
        if (dir != NULL) {
            closedir(dir);
        }
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
