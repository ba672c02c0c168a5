/*
 * Names of a test's own: a hosts file before this process and no other, and a
 * name server that never answers for every name that is not in it. It needs
 * the right to make a mount namespace and to bind port 53.
 */
#ifndef TESTS_NAMES_GIVEN_H
#define TESTS_NAMES_GIVEN_H

#include "heap.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is put there this process alone sees, and it goes with it. */
#define NAMES_DIR "/mnt"

enum {
    NAMES_HANG_S = 20, /* so long a name server is waited for */
};

struct names_given {
    bool is_mounted;
    int server; /* its socket; -1: nobody is there, which the kernel tells */
    struct sockaddr_in at;
};

static struct names_given names_given = {.server = -1};

/* This process sees a file with this text at `path`, from one moment to the
   next: a look-up that is under way reads the whole of it, or what was there
   before. The file keeps its name, or nothing could be put over it later.
   False: not allowed. */
static inline bool
names_put(const char *path, const char *text)
{
    char own[] = NAMES_DIR "/XXXXXX";
    int fd = mkstemp(own);
    bool is_put = fd >= 0 && fchmod(fd, 0644) == 0 &&
                  write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
                  mount(own, path, NULL, MS_BIND, NULL) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return is_put;
}

/* From here on the name server hears and says nothing. */
static inline bool
names_mute(void)
{
    if (names_given.server < 0) {
        names_given.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }
    return bind(names_given.server, (struct sockaddr *)&names_given.at,
               sizeof(names_given.at)) == 0;
}

/* From here on no name server is there, which is known at once. */
static inline void
names_unmute(void)
{
    close(names_given.server);
    names_given.server = -1;
}

static inline bool
names_mount(void)
{
    unsigned mine = (unsigned)getpid();
    char text[128];

    names_given.at =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(53)};
    names_given.at.sin_addr.s_addr =
        htonl(0x7f4d0001 | (mine & 0xff) << 8 | (mine >> 8 & 0x7f) << 1);
    snprintf(text, sizeof(text),
        "nameserver %s\noptions timeout:%d attempts:1\n",
        inet_ntoa(names_given.at.sin_addr), NAMES_HANG_S);
    return names_mute() && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", NAMES_DIR, "tmpfs", 0, NULL) == 0 &&
           names_put("/etc/nsswitch.conf", "hosts: files dns\n") &&
           names_put("/etc/resolv.conf", text);
}

/* The hosts file says this; every other name hangs. False: not allowed here,
   and the test is to be skipped. */
static inline bool
names_are(const char *hosts)
{
    heap_let_off(); /* a lookup that hangs outlives the test */
    if (!names_given.is_mounted) {
        names_given.is_mounted = names_mount();
    }
    if (!names_given.is_mounted) {
        return false;
    }
    assert_true(names_put("/etc/hosts", hosts));
    return true;
}

#endif
