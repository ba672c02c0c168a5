/*
 * Somebody between a client and a real Redis. It passes on what is said, notes
 * the commands, and answers some of them itself: what Redis says only in states
 * that are hard to bring about. A process for each connection.
 */
#ifndef TESTS_UNIT_REDIS_BETWEEN_H
#define TESTS_UNIT_REDIS_BETWEEN_H

#include "redis_fixture.h"

#include <sys/mman.h>

enum {
    BETWEEN_RULES_MAX = 4,
    BETWEEN_SEEN_MAX = 64,
};

struct between {
    uint16_t port;
    struct {
        char begins[64]; /* a command, its words parted by blanks */
        char answer[96]; /* "": the connection is closed */
        atomic_int times;
    } rules[BETWEEN_RULES_MAX];
    atomic_uint seen_len;
    char seen[BETWEEN_SEEN_MAX][128]; /* commands about what is stored */
};

struct between_pair {
    struct between *between;
    int client;
    int server;
    char bytes[1 << 20]; /* of the client, that are not yet passed on */
    size_t len;
};

static inline bool
between_fill(struct between_pair *p)
{
    ssize_t n = read(p->client, p->bytes + p->len, sizeof(p->bytes) - p->len);

    p->len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The length of the first command, and its words; 0: it is not whole. */
static inline size_t
between_command(const struct between_pair *p, char *words, size_t size)
{
    const char *end = p->bytes + p->len;
    const char *at = memchr(p->bytes, '\n', p->len);
    int count = p->len > 0 ? atoi(p->bytes + 1) : 0;
    size_t used = 0;

    words[0] = '\0';
    for (int i = 0; at != NULL && i < count; i++) {
        const char *head = at + 1;
        size_t len;

        at = memchr(head, '\n', (size_t)(end - head));
        if (at == NULL) {
            return 0;
        }
        len = (size_t)atoi(head + 1);
        if ((size_t)(end - at) < len + 3) {
            return 0;
        }
        if (used < size) {
            used += (size_t)snprintf(words + used, size - used, "%s%.*s",
                i > 0 ? " " : "", (int)(len < 60 ? len : 60), at + 1);
        }
        at += len + 2;
    }
    return at == NULL ? 0 : (size_t)(at + 1 - p->bytes);
}

/* One whole reply of the server goes to the client. */
static inline bool
between_relay(struct between_pair *p, redisReader *reader)
{
    static char bytes[65536];
    void *reply = NULL;

    while (reply == NULL) {
        ssize_t n = read(p->server, bytes, sizeof(bytes));

        if (n <= 0 || write(p->client, bytes, (size_t)n) != n ||
            redisReaderFeed(reader, bytes, (size_t)n) != REDIS_OK ||
            redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return false;
        }
    }
    freeReplyObject(reply);
    return true;
}

static inline void
between_note(struct between *b, const char *words)
{
    unsigned at = atomic_load(&b->seen_len);

    if ((strstr(words, "ns:e:") != NULL || strstr(words, "ns:l:") != NULL) &&
        at < BETWEEN_SEEN_MAX) {
        snprintf(b->seen[at], sizeof(b->seen[at]), "%s", words);
        atomic_store(&b->seen_len, at + 1);
    }
}

/* NULL: it is passed on. */
static inline const char *
between_answer(struct between *b, const char *words)
{
    for (int i = 0; i < BETWEEN_RULES_MAX; i++) {
        if (atomic_load(&b->rules[i].times) > 0 &&
            strncmp(words, b->rules[i].begins, strlen(b->rules[i].begins)) ==
                0) {
            atomic_fetch_sub(&b->rules[i].times, 1);
            return b->rules[i].answer;
        }
    }
    return NULL;
}

static inline void
between_serve(struct between_pair *p)
{
    redisReader *reader = redisReaderCreate();
    char words[512];

    while (between_fill(p)) {
        size_t len;

        while ((len = between_command(p, words, sizeof(words))) > 0) {
            const char *answer;

            between_note(p->between, words);
            answer = between_answer(p->between, words);
            if (answer != NULL) {
                if (answer[0] == '\0' ||
                    write(p->client, answer, strlen(answer)) < 0) {
                    return;
                }
            } else if (write(p->server, p->bytes, len) != (ssize_t)len ||
                       !between_relay(p, reader)) {
                return;
            }
            memmove(p->bytes, p->bytes + len, p->len - len);
            p->len -= len;
        }
    }
}

static inline int
between_dial(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
    if (connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0) {
        _exit(1);
    }
    return fd;
}

static inline void
between_main(struct between *b, int listens, uint16_t to)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        static struct between_pair pair;

        pair.client = accept(listens, NULL, NULL);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pair.between = b;
            pair.server = between_dial(to);
            between_serve(&pair);
            _exit(0);
        }
        close(pair.client);
    }
}

/* Between clients of its port and that server. It ends with the servers. */
static inline struct between *
between_new(uint16_t to)
{
    struct between *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct server *s = &fixture.servers[fixture.servers_len++];
    int listens;

    assert_true(b != MAP_FAILED);
    assert_true(fixture.servers_len <= SERVERS_MAX);
    b->port = port_pick();
    listens = listener(b->port);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        between_main(b, listens, to);
    }
    close(listens);
    return b;
}

static inline void
between_free(struct between **b)
{
    munmap(*b, sizeof(**b));
    *b = NULL;
}

/* So many commands that begin like this are answered so from now on. */
static inline void
between_says(struct between *b, unsigned rule, const char *begins,
    const char *answer, int times)
{
    assert_true(rule < BETWEEN_RULES_MAX);
    atomic_store(&b->rules[rule].times, 0);
    snprintf(
        b->rules[rule].begins, sizeof(b->rules[rule].begins), "%s", begins);
    snprintf(
        b->rules[rule].answer, sizeof(b->rules[rule].answer), "%s", answer);
    atomic_store(&b->rules[rule].times, times);
}

/* The commands since the last time. A script is called by its hash, which is
   left out, and once more by its body where it is not known. */
static inline const char *
between_heard(struct between *b)
{
    static char text[4096];
    size_t at = 0;
    unsigned len = atomic_load(&b->seen_len);

    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        const char *words = b->seen[i];

        if (strncmp(words, "EVAL ", 5) == 0) {
            continue;
        }
        if (strncmp(words, "EVALSHA ", 8) == 0) {
            words = strchr(words + 8, ' ');
        }
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
            at > 0 ? "; " : "", words[0] == ' ' ? words + 1 : words);
    }
    atomic_store(&b->seen_len, 0);
    return text;
}

#endif
