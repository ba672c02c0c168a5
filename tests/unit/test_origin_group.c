/* Groups: which servers are taken, metrics of several, and the errors
   (error.c). */
#include "test_origin_peer.h"

#include "nearside/base/log.h"

static enum rc
group_of(const char *server, struct origin_group **out)
{
    const struct origin_opts opts = opts_filled((struct origin_opts){
        .name = "api", .servers = &server, .servers_len = 1});

    return origin_group_new(&opts, out);
}

static void
server_is_an_http_url_or_a_unix_path(void **state)
{
    static const struct {
        const char *server;
        enum rc rc;
    } rows[] = {
        {"http://127.0.0.1:3000", RC_OK},
        {"http://api.example", RC_OK},
        {"http://[::1]:3000", RC_OK},
        {"unix:/run/api.sock", RC_OK},
        {"https://api.example", RC_UNSUPPORTED},
        {"ftp://api.example", RC_BAD},
        {"http://", RC_BAD},
        {"http://api.example/path", RC_BAD},
        {"http://user@api.example", RC_BAD},
        {"api.example:80", RC_BAD},
        {"", RC_BAD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct origin_group *group = NULL;
        enum rc rc = group_of(rows[i].server, &group);
        if (rc != rows[i].rc) {
            fail_msg("%s: %s", rows[i].server, rc_text(rc));
        }
        if (rc == RC_OK) {
            assert_string_equal(origin_group_name(group), "api");
            origin_group_free(&group);
        }
        assert_null(group);
    }
}

static void
exactly_one_server_is_taken(void **state)
{
    static const char *const servers[] = {"http://a", "http://b"};
    struct origin_opts opts = {.name = "api", .servers = servers};
    struct origin_group *group = NULL;

    (void)state;
    assert_int_equal(origin_group_new(&opts, &group), RC_BAD);
    opts.servers_len = 2;
    assert_int_equal(origin_group_new(&opts, &group), RC_BAD);
    assert_null(group);
}

static void
metrics_of_several_groups_stand_together(void **state)
{
    struct metric_registry *registry = metric_registry_new();
    struct origin_group *groups[2];
    struct buf out;

    (void)state;
    assert_int_equal(group_of("http://a", &groups[0]), RC_OK);
    assert_int_equal(group_of("http://b", &groups[1]), RC_OK);
    origin_groups_measure(groups, 2, registry);
    assert_non_null(metric_block_new(registry));
    buf_init(&out, 1 << 20);
    assert_int_equal(metric_render(registry, &out), RC_OK);
    assert_int_equal(buf_append(&out, slice_of("", 1)), RC_OK);
    assert_non_null(strstr(out.data, "nearside_origin_errors_total{"
                                     "origin=\"api\",cause=\"first_byte\"} 0"));
    assert_non_null(strstr(out.data, "nearside_origin_first_byte_seconds"));
    buf_fini(&out);
    origin_group_free(&groups[0]);
    origin_group_free(&groups[1]);
    metric_registry_free(&registry);
}

static void
each_error_has_a_status_a_type_and_a_text(void **state)
{
    (void)state;
    for (unsigned e = ORIGIN_ERROR_NONE + 1; e < ORIGIN_ERROR_COUNT; e++) {
        const struct origin_failure *f = origin_failure((enum origin_error)e);
        assert_true(f->status >= 502 && f->status <= 504);
        assert_true(strlen(f->type) > 0);
        assert_true(strlen(f->text) > 0);
    }
    assert_int_equal(origin_failure(ORIGIN_ERROR_FIRST_BYTE)->status, 504);
    assert_string_equal(
        origin_failure(ORIGIN_ERROR_REFUSED)->type, "connection_refused");
}

static void
failure_is_logged_with_server_and_cause(void **state)
{
    char path[] = "/tmp/nearside-log-XXXXXX";
    struct log_opts opts = {
        .events = {.target = LOG_TARGET_FILE, .path = path},
        .access = {.target = LOG_TARGET_NONE},
        .level = LOG_LEVEL_INFO,
        .rate_max = 20,
    };
    char why[256];
    char text[1024] = "";
    struct rig rig = {.server = "unix:/nonexistent/api.sock"};
    struct got got = {0};
    struct origin_pool *quiet;
    struct log *log;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(log_open(&opts, &log, why), RC_OK);
    rig_open(&rig, (struct origin_opts){0});
    quiet = rig.pool;
    rig.pool =
        origin_pool_new(rig.group, rig.loop, log_ring_new(log), rig.block);
    origin_pool_free(&quiet);
    got_get(&rig, &got);
    rig_until(&rig, got_over(&got));
    rig_stop(&rig);
    log_close(&log);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text,
        "warn origin_error origin=\"api\" server=\"unix:/nonexistent/api.sock\""
        " cause=\"connection refused\""));
    close(fd);
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_is_an_http_url_or_a_unix_path),
        cmocka_unit_test(exactly_one_server_is_taken),
        cmocka_unit_test(metrics_of_several_groups_stand_together),
        cmocka_unit_test(each_error_has_a_status_a_type_and_a_text),
        cmocka_unit_test(failure_is_logged_with_server_and_cause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
