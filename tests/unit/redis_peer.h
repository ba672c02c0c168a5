/*
 * Redis servers that say what a test wants, inside of its process: the test
 * turns the loop, they answer, and time passes when the test says so. Without
 * words of the test's own each is a well primary of one cluster, which owns its
 * slots and knows of the others.
 */
#ifndef TESTS_REDIS_PEER_H
#define TESTS_REDIS_PEER_H

#include "log_given.h"
#include "redis_fixture.h"
#include "redis/map.h"

#include <errno.h>
#include <netinet/tcp.h>

enum {
    PEERS_MAX = 5,
    PEER_CONNS_MAX = 16,
    PEER_SAYINGS_MAX = 8,
    PEER_HEARD_MAX = 65536,
    PEER_TEXT_MAX = 4096,
    /* From one round of probes to the next, by the wheel's ticks. */
    PEER_ROUND_MS = 508,
};

struct peer_conn {
    int fd; /* 0: none */
    size_t len;
    char bytes[16384];
};

struct saying {
    const char *words;  /* which a command begins with; NULL: none */
    const char *answer; /* "": none */
};

struct peer {
    uint16_t port;
    int listens;
    char id[41];
    int first; /* of its slots; -1: it owns none */
    int last;
    unsigned epoch;
    bool is_held; /* reads nothing and takes no connection */
    unsigned conns_taken;
    int fd;      /* over which the last command came */
    int told_fd; /* over which the last SUBSCRIBE came */
    struct peer_conn conns[PEER_CONNS_MAX];
    struct saying says[PEER_SAYINGS_MAX];
    size_t heard_len;
    char heard[PEER_HEARD_MAX]; /* a command a line; begins with a line's end */
};

static struct peer peers[PEERS_MAX];
static unsigned peers_len;

/* Commands that begin with these words are answered so from now on; "": not at
   all. NULL: as usual. Both strings stay the test's. */
static inline void
peer_says(struct peer *p, const char *words, const char *answer)
{
    struct saying *free_one = NULL;

    for (unsigned i = 0; i < PEER_SAYINGS_MAX; i++) {
        struct saying *s = &p->says[i];

        if (s->words == NULL ? free_one == NULL
                             : strcmp(s->words, words) == 0) {
            free_one = s;
        }
    }
    assert_non_null(free_one);
    *free_one = (struct saying){answer == NULL ? NULL : words, answer};
}

/* How many commands began with these words since the last peer_forget. */
static inline unsigned
peer_heard(const struct peer *p, const char *words)
{
    char line[128];
    unsigned count = 0;

    snprintf(line, sizeof(line), "\n%s", words);
    for (const char *at = p->heard; (at = strstr(at, line)) != NULL; at++) {
        count++;
    }
    return count;
}

static inline void
peer_forget(struct peer *p)
{
    p->heard_len = 1;
    strcpy(p->heard, "\n");
}

static inline void
peer_cut(struct peer_conn *c)
{
    close(c->fd);
    c->fd = 0;
    c->len = 0;
}

static inline unsigned
peer_conns(const struct peer *p)
{
    unsigned len = 0;

    for (unsigned i = 0; i < PEER_CONNS_MAX; i++) {
        len += p->conns[i].fd != 0;
    }
    return len;
}

/* ---- what it says ------------------------------------------------------- */

static inline void __attribute__((format(printf, 2, 3)))
text_add(char text[PEER_TEXT_MAX], const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list ap;

    va_start(ap, fmt);
    assert_true(vsnprintf(text + len, PEER_TEXT_MAX - len, fmt, ap) <
                (int)(PEER_TEXT_MAX - len));
    va_end(ap);
}

static inline void
say_slots(char text[PEER_TEXT_MAX])
{
    unsigned owners = 0;

    for (unsigned i = 0; i < peers_len; i++) {
        owners += peers[i].first >= 0;
    }
    text_add(text, "*%u\r\n", owners);
    for (unsigned i = 0; i < peers_len; i++) {
        if (peers[i].first >= 0) {
            text_add(text,
                "*3\r\n:%d\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
                "$40\r\n%s\r\n",
                peers[i].first, peers[i].last, peers[i].port, peers[i].id);
        }
    }
}

static inline void
say_nodes(const struct peer *p, char text[PEER_TEXT_MAX])
{
    char nodes[PEER_TEXT_MAX - 64] = "";

    for (unsigned i = 0; i < peers_len; i++) {
        size_t len = strlen(nodes);

        len += (size_t)snprintf(nodes + len, sizeof(nodes) - len,
            "%s 127.0.0.1:%u@1 %smaster - 0 0 %u connected", peers[i].id,
            peers[i].port, &peers[i] == p ? "myself," : "", peers[i].epoch);
        len += (size_t)snprintf(nodes + len, sizeof(nodes) - len,
            peers[i].first < 0 ? "\n" : " %d-%d\n", peers[i].first,
            peers[i].last);
        assert_true(len < sizeof(nodes));
    }
    text_add(text, "$%zu\r\n%s\r\n", strlen(nodes), nodes);
}

/* As a primary with an AOF, whose run is named by its node. */
static inline void
say_info(const struct peer *p, char text[PEER_TEXT_MAX])
{
    char info[512];
    int len = snprintf(info, sizeof(info),
        "run_id:%s\r\nuptime_in_seconds:9\r\nloading:0\r\naof_enabled:1\r\n"
        "role:master\r\nmaster_replid:%s\r\n",
        p->id, p->id);

    text_add(text, "$%d\r\n%s\r\n", len, info);
}

static inline void
say_usual(const struct peer *p, const char *words, char text[PEER_TEXT_MAX])
{
    struct slice w = slice_of_str(words);

    if (slice_eq(w, SLICE("CLUSTER SLOTS"))) {
        say_slots(text);
    } else if (slice_eq(w, SLICE("CLUSTER NODES"))) {
        say_nodes(p, text);
    } else if (slice_starts(w, SLICE("INFO server"))) {
        say_info(p, text);
    } else if (slice_starts(w, SLICE("INFO "))) {
        text_add(text, "$0\r\n\r\n");
    } else if (slice_starts(w, SLICE("GET "))) {
        text_add(text, "$-1\r\n");
    } else if (slice_starts(w, SLICE("DEL "))) {
        text_add(text, ":1\r\n");
    } else if (slice_eq(w, SLICE("TIME"))) {
        text_add(text, "-NOPERM no time\r\n");
    } else {
        text_add(text, "+OK\r\n");
    }
}

static inline void
peer_answer(const struct peer *p, int fd, const char *words)
{
    char usual[PEER_TEXT_MAX] = "";
    const char *answer = NULL;

    for (unsigned i = 0; i < PEER_SAYINGS_MAX; i++) {
        const struct saying *s = &p->says[i];

        if (s->words != NULL &&
            strncmp(words, s->words, strlen(s->words)) == 0) {
            answer = s->answer;
        }
    }
    if (answer == NULL) {
        say_usual(p, words, usual);
        answer = usual;
    }
    if (answer[0] != '\0') {
        (void)!write(fd, answer, strlen(answer));
    }
}

/* ---- what it hears ------------------------------------------------------ */

/* The number behind a mark; -1: it has not come as a whole. */
static inline long
take_number(struct slice *rest)
{
    struct slice line;
    ssize_t end = slice_find(*rest, '\n');

    if (end < 0) {
        return -1;
    }
    line = slice_of(rest->ptr, (size_t)end);
    *rest = slice_of(rest->ptr + end + 1, rest->len - (size_t)end - 1);
    assert_true(line.len > 1);
    return atol(line.ptr + 1);
}

/* The first command, its words parted by spaces, off the bytes. */
static inline bool
take_command(struct peer_conn *c, char words[PEER_TEXT_MAX])
{
    struct slice rest = slice_of(c->bytes, c->len);
    long count = take_number(&rest);

    words[0] = '\0';
    if (count < 0) {
        return false;
    }
    for (long i = 0; i < count; i++) {
        long len = take_number(&rest);

        if (len < 0 || rest.len < (size_t)len + 2) {
            return false;
        }
        text_add(words, "%s%.*s", i == 0 ? "" : " ", (int)len, rest.ptr);
        rest = slice_of(rest.ptr + len + 2, rest.len - (size_t)len - 2);
    }
    memmove(c->bytes, rest.ptr, rest.len);
    c->len = rest.len;
    return true;
}

static inline void
peer_hear(struct peer *p, struct peer_conn *c)
{
    char words[PEER_TEXT_MAX];

    while (take_command(c, words)) {
        size_t len = strlen(words) + 1;

        assert_true(p->heard_len + len < sizeof(p->heard));
        memcpy(p->heard + p->heard_len, words, len);
        p->heard_len += len;
        p->heard[p->heard_len - 1] = '\n';
        p->heard[p->heard_len] = '\0';
        p->fd = c->fd;
        if (strncmp(words, "SUBSCRIBE", 9) == 0) {
            p->told_fd = c->fd;
        }
        peer_answer(p, c->fd, words);
    }
}

static inline void
peer_take(struct peer *p)
{
    int fd = accept4(p->listens, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer_conn *c = p->conns;
    int one = 1;

    if (fd < 0) {
        return;
    }
    /* What is said is there at once. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while (c->fd != 0) {
        c++;
        assert_true(c < p->conns + PEER_CONNS_MAX);
    }
    c->fd = fd;
    p->conns_taken++;
}

/* True: something has come. */
static inline bool
peer_serve(struct peer *p)
{
    unsigned taken = p->conns_taken;
    bool has_come = false;

    if (p->is_held) {
        return false;
    }
    peer_take(p);
    for (unsigned i = 0; i < PEER_CONNS_MAX; i++) {
        struct peer_conn *c = &p->conns[i];
        ssize_t n = c->fd == 0 ? -1
                               : read(c->fd, c->bytes + c->len,
                                     sizeof(c->bytes) - c->len);

        if (n > 0) {
            c->len += (size_t)n;
            has_come = true;
            peer_hear(p, c);
        } else if (c->fd != 0 && (n == 0 || errno != EAGAIN)) {
            peer_cut(c);
        }
    }
    return has_come || p->conns_taken != taken;
}

/* ---- a test's turns ----------------------------------------------------- */

static inline bool
peers_turn(struct rig *rig, int64_t wait_ms)
{
    bool has_come = false;

    loop_turn(rig->loop, wait_ms);
    for (unsigned i = 0; i < peers_len; i++) {
        has_come |= peer_serve(&peers[i]);
    }
    return has_come;
}

#define PEERS_AWAIT(rig, condition)                                            \
    do {                                                                       \
        int64_t peers_until_ms_ = real_ms() + PATIENCE_MS;                     \
        while (!(condition)) {                                                 \
            assert_true(real_ms() < peers_until_ms_);                          \
            (void)peers_turn(rig, 1);                                          \
        }                                                                      \
    } while (0)

/* What was said is heard, and what follows from it has been done. */
static inline void
peers_rest(struct rig *rig)
{
    for (unsigned quiet = 0; quiet < 4;) {
        quiet = peers_turn(rig, 0) ? 0 : quiet + 1;
    }
}

/* So much time passes at once, and what follows is done. */
static inline void
peers_pass(struct rig *rig, int64_t ms)
{
    rig_pass(rig, ms);
    peers_rest(rig);
}

/* So many rounds of probes are sent, one after the other. */
static inline void
peers_pass_rounds(struct rig *rig, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        peers_pass(rig, PEER_ROUND_MS);
    }
}

static inline void
peers_new(unsigned len)
{
    assert_true(len <= PEERS_MAX);
    peers_len = len;
    for (unsigned i = 0; i < len; i++) {
        struct peer *p = &peers[i];

        *p = (struct peer){.port = port_pick(),
            .epoch = i + 1,
            .first = (int)(SLOT_COUNT * i / len),
            .last = (int)(SLOT_COUNT * (i + 1) / len - 1)};
        memset(p->id, (int)('a' + i), 40);
        p->listens = listener(p->port);
        fcntl(p->listens, F_SETFL, O_NONBLOCK);
        peer_forget(p);
    }
}

static inline int
peers_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < peers_len; i++) {
        for (unsigned j = 0; j < PEER_CONNS_MAX; j++) {
            if (peers[i].conns[j].fd != 0) {
                peer_cut(&peers[i].conns[j]);
            }
        }
        close(peers[i].listens);
    }
    peers_len = 0;
    servers_end();
    return 0;
}

/* A client of the peers, of which the first `seeds` are seeds. Its clock stands
   still. */
static inline void
peers_open(struct rig *rig, struct redis_opts opts, unsigned seeds)
{
    static char texts[PEERS_MAX][64];
    static const char *ptrs[PEERS_MAX];

    for (unsigned i = 0; i < seeds; i++) {
        snprintf(texts[i], sizeof(texts[i]), "127.0.0.1:%u", peers[i].port);
        ptrs[i] = texts[i];
    }
    opts.seeds = ptrs;
    opts.seeds_len = seeds;
    rig->has_no_time = true;
    rig_open(rig, opts);
    peers_rest(rig);    /* the first refresh is wanted */
    peers_pass(rig, 8); /* and begins */
}

static inline struct node *
peer_node(struct rig *rig, const struct peer *p)
{
    struct node *node =
        redis_node_take(rig->redis, SLICE("127.0.0.1"), p->port);
    struct node *same = node;

    assert_non_null(node);
    redis_node_unref(rig->redis, &node);
    return same;
}

/* Sends, waits for the end, gives it; no time passes. */
static inline enum rc
peers_run(struct rig *rig, struct told *t, const char *words)
{
    run_begin(rig, t, words, 5000);
    PEERS_AWAIT(rig, t->times > 0);
    return run_end(t);
}

/* The same for a call that counts only while values may be used. */
static inline enum rc
peers_run_guarded(struct rig *rig, struct told *t, const char *words)
{
    memset(t, 0, sizeof(*t));
    t->call.deadline_ms = loop_now_ms(rig->loop) + 5000;
    t->call.is_guarded = true;
    t->call.retries = true;
    send_words(rig, t, words);
    PEERS_AWAIT(rig, t->times > 0);
    return run_end(t);
}

#endif
