/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where log lines go, what they look like, and how many of them. The sinks of the threaded case
 * count in atomics; the main thread asserts after joining.
 */
#include "call_fail.h"
#include "pw_test.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sync.h"
#include "base/tool_hints.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct record {
    unsigned lines;
    enum pywatt_log_level level;
    char line[600];
};

static void record_line(void *user, enum pywatt_log_level level, const char *line)
{
    struct record *record = user;
    record->lines++;
    record->level = level;
    strncpy(record->line, line, sizeof(record->line) - 1);
    errno = EBADF;
}

static int silence(void **state)
{
    (void)state;
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    return 0;
}

static void is_silent_until_a_sink_is_set(void **state)
{
    (void)state;
    assert_false(pw_log_wanted(PYWATT_LOG_ERROR));
    pw_log(PYWATT_LOG_ERROR, "nobody %s", "listens");
    pw_log_write(PYWATT_LOG_ERROR, "nobody %s", "listens");
}

static void hands_over_lines_up_to_the_level(void **state)
{
    (void)state;
    struct record record = {0};
    pywatt_set_log_sink(record_line, &record, PYWATT_LOG_WARNING);
    assert_true(pw_log_wanted(PYWATT_LOG_ERROR));
    assert_true(pw_log_wanted(PYWATT_LOG_WARNING));
    assert_false(pw_log_wanted(PYWATT_LOG_INFO));
    pw_log(PYWATT_LOG_WARNING, "port %d is %s", 7, "busy");
    assert_int_equal(record.lines, 1);
    assert_int_equal(record.level, PYWATT_LOG_WARNING);
    assert_string_equal(record.line, "port 7 is busy");
    pw_log(PYWATT_LOG_INFO, "not wanted");
    pw_log_write(PYWATT_LOG_INFO, "not wanted");
    assert_int_equal(record.lines, 1);
    pw_log(PYWATT_LOG_ERROR, "worse");
    assert_int_equal(record.lines, 2);
    pywatt_set_log_sink(record_line, &record, PYWATT_LOG_DEBUG);
    pw_log(PYWATT_LOG_DEBUG, "all");
    assert_int_equal(record.lines, 3);
    pywatt_set_log_sink(NULL, &record, PYWATT_LOG_DEBUG);
    pw_log(PYWATT_LOG_ERROR, "gone");
    assert_int_equal(record.lines, 3);
}

static void does_not_evaluate_what_is_not_wanted(void **state)
{
    (void)state;
    int evaluated = 0;
    pw_log(PYWATT_LOG_ERROR, "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
}

static void replaces_control_characters(void **state)
{
    (void)state;
    struct record record = {0};
    pywatt_set_log_sink(record_line, &record, PYWATT_LOG_DEBUG);
    pw_log(PYWATT_LOG_INFO, "a\nb\tc\x1b[1md\x7f"
                            "e\xc2\x9b"
                            "f\xc2\xa0\xc3\x84g\x01\x1f");
    assert_string_equal(record.line, "a?b?c?[1md?e?f\xc2\xa0\xc3\x84g??");
    pw_log(PYWATT_LOG_INFO, "\xc2\x80<\xc2\x9f>\xc2\xa0\xc3\x80\xc3\x9f");
    assert_string_equal(record.line, "?<?>\xc2\xa0\xc3\x80\xc3\x9f");
}

static void cuts_long_lines_at_a_character(void **state)
{
    (void)state;
    struct record record = {0};
    pywatt_set_log_sink(record_line, &record, PYWATT_LOG_DEBUG);
    char text[1000] = "";
    for (size_t i = 0; i < 900; i += 3) {
        strcat(text, "\xe2\x82\xac");
    }
    pw_log(PYWATT_LOG_INFO, "%s", text);
    assert_int_equal(strlen(record.line), 510);
    assert_true(pw_utf8_valid(pw_str_from(record.line)));
    pw_log(PYWATT_LOG_INFO, "a%s", text);
    assert_int_equal(strlen(record.line), 511);
    text[300] = '\0';
    pw_log(PYWATT_LOG_INFO, "%s", text);
    assert_string_equal(record.line, text);
}

static void leaves_errno_alone(void **state)
{
    (void)state;
    struct record record = {0};
    pywatt_set_log_sink(record_line, &record, PYWATT_LOG_DEBUG);
    errno = EAGAIN;
    pw_log(PYWATT_LOG_INFO, "x");
    assert_int_equal(errno, EAGAIN);
}

static void names_the_levels(void **state)
{
    (void)state;
    assert_string_equal(pywatt_log_level_name(PYWATT_LOG_ERROR), "error");
    assert_string_equal(pywatt_log_level_name(PYWATT_LOG_WARNING), "warning");
    assert_string_equal(pywatt_log_level_name(PYWATT_LOG_INFO), "info");
    assert_string_equal(pywatt_log_level_name(PYWATT_LOG_DEBUG), "debug");
    assert_string_equal(pywatt_log_level_name((enum pywatt_log_level)4), "unknown");
}

/* What the stderr sink writes for a line; the caller frees it. */
static char *written_to_stderr(const char *line)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, line);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    char *text = calloc(1, 4096);
    assert_true(read(ends[0], text, 4095) > 0);
    close(ends[0]);
    return text;
}

static void the_stderr_sink_writes_time_level_and_line(void **state)
{
    (void)state;
    char *text = written_to_stderr("hello there");
    const char *form = "dddd-dd-ddTdd:dd:dd.dddZ info hello there\n";
    assert_int_equal(strlen(text), strlen(form));
    for (size_t i = 0; i < strlen(form); i++) {
        if (i < 23 && form[i] == 'd') {
            assert_in_range(text[i], '0', '9');
        } else {
            assert_int_equal(text[i], form[i]);
        }
    }
    free(text);
}

static void the_stderr_sink_ends_a_long_line(void **state)
{
    (void)state;
    char line[2000];
    memset(line, 'l', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    char *text = written_to_stderr(line);
    assert_in_range(strlen(text), 500, 600);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

static void the_stderr_sink_outlives_a_closed_stderr(void **state)
{
    (void)state;
    const int saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = EAGAIN;
    pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, "nobody reads this");
    const int after = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(after, EAGAIN);
}

static void the_stderr_sink_writes_all_of_a_line(void **state)
{
    (void)state;
    static const int numbers[] = {EINTR, CALL_SHORT};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        call_fail_at(CALL_WRITE, 1, numbers[i]);
        char *text = written_to_stderr("hello there");
        assert_true(call_fail_disarm());
        assert_non_null(strstr(text, "Z info hello there\n"));
        free(text);
    }
}

static void the_stderr_sink_gives_up_where_nothing_can_be_written(void **state)
{
    (void)state;
    static const int numbers[] = {EAGAIN, ENOSPC, EPIPE, EIO};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        call_fail_at(CALL_WRITE, 0, numbers[i]);
        errno = EDOM;
        pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, "nobody reads this");
        assert_int_equal(errno, EDOM);
        assert_int_equal(call_fail_count(), 1);
        assert_true(call_fail_disarm());
    }
}

static int first_user;
static int second_user;
static atomic_uint torn;
static atomic_uint received;
static atomic_uint writing;

static void first_sink(void *user, enum pywatt_log_level level, const char *line)
{
    (void)line;
    torn += user != &first_user || level > PYWATT_LOG_WARNING;
    received++;
}

static void second_sink(void *user, enum pywatt_log_level level, const char *line)
{
    (void)line;
    torn += user != &second_user || level > PYWATT_LOG_DEBUG;
    received++;
}

static void *write_lines(void *arg)
{
    const unsigned rounds = 20000 / pw_test_slow_factor();
    for (unsigned i = 0; i < rounds; i++) {
        pw_log(PYWATT_LOG_WARNING, "a %u", i);
        pw_log(PYWATT_LOG_DEBUG, "b");
    }
    writing--;
    return arg;
}

static void a_sink_never_meets_the_user_or_level_of_another(void **state)
{
    (void)state;
    PW_HINT_ATOMIC(torn);
    PW_HINT_ATOMIC(received);
    PW_HINT_ATOMIC(writing);
    writing = 3;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "log", write_lines, NULL), PYWATT_OK);
    }
    do {
        pywatt_set_log_sink(first_sink, &first_user, PYWATT_LOG_WARNING);
        pywatt_set_log_sink(second_sink, &second_user, PYWATT_LOG_DEBUG);
        pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_DEBUG);
        pywatt_set_log_sink(second_sink, &second_user, PYWATT_LOG_WARNING);
    } while (writing > 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(torn, 0);
    pw_log(PYWATT_LOG_ERROR, "the last");
    assert_true(received > 0);
}

static void a_limit_lets_a_burst_through_and_counts_the_rest(void **state)
{
    (void)state;
    struct pw_log_limit limit = {0};
    uint64_t now_ns = 5 * PW_NS_PER_S;
    uint32_t suppressed = 99;
    for (int i = 0; i < 3; i++) {
        assert_true(pw_log_limit_pass(&limit, 3, now_ns, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    suppressed = 99;
    for (int i = 0; i < 10; i++) {
        assert_false(pw_log_limit_pass(&limit, 3, now_ns + (uint64_t)i, &suppressed));
    }
    assert_int_equal(suppressed, 99);
    assert_false(pw_log_limit_pass(&limit, 3, now_ns + PW_NS_PER_S - 1, &suppressed));
    assert_true(pw_log_limit_pass(&limit, 3, now_ns + PW_NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 11);
    assert_true(pw_log_limit_pass(&limit, 3, now_ns + PW_NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 0);
}

static void a_limit_takes_a_thread_with_an_older_time(void **state)
{
    (void)state;
    struct pw_log_limit limit = {0};
    uint32_t suppressed = 0;
    assert_true(pw_log_limit_pass(&limit, 1, 9 * PW_NS_PER_S, &suppressed));
    assert_false(pw_log_limit_pass(&limit, 1, 7 * PW_NS_PER_S, &suppressed));
    assert_false(pw_log_limit_pass(&limit, 0, 20 * PW_NS_PER_S, &suppressed));
}

static struct pw_log_limit shared_limit;

static void *pass_often(void *arg)
{
    unsigned *passed = arg;
    uint32_t suppressed = 0;
    for (int i = 0; i < 1000; i++) {
        *passed += pw_log_limit_pass(&shared_limit, 100, 9 * PW_NS_PER_S, &suppressed);
    }
    return NULL;
}

static void a_limit_counts_the_lines_of_all_threads(void **state)
{
    (void)state;
    uint32_t suppressed = 0;
    assert_true(pw_log_limit_pass(&shared_limit, 100, 9 * PW_NS_PER_S, &suppressed));
    pthread_t threads[4];
    unsigned passed[4] = {0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pw_thread_start(&threads[i], "limit", pass_often, &passed[i]), PYWATT_OK);
    }
    unsigned total = 1;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        total += passed[i];
    }
    assert_int_equal(total, 100);
    assert_true(pw_log_limit_pass(&shared_limit, 100, 11 * PW_NS_PER_S, &suppressed));
    assert_int_equal(suppressed, 4001 - 100);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(is_silent_until_a_sink_is_set),
        cmocka_unit_test_teardown(hands_over_lines_up_to_the_level, silence),
        cmocka_unit_test_teardown(does_not_evaluate_what_is_not_wanted, silence),
        cmocka_unit_test_teardown(replaces_control_characters, silence),
        cmocka_unit_test_teardown(cuts_long_lines_at_a_character, silence),
        cmocka_unit_test_teardown(leaves_errno_alone, silence),
        cmocka_unit_test(names_the_levels),
        cmocka_unit_test(the_stderr_sink_writes_time_level_and_line),
        cmocka_unit_test(the_stderr_sink_ends_a_long_line),
        cmocka_unit_test(the_stderr_sink_writes_all_of_a_line),
        cmocka_unit_test(the_stderr_sink_gives_up_where_nothing_can_be_written),
        cmocka_unit_test(the_stderr_sink_outlives_a_closed_stderr),
        cmocka_unit_test_teardown(a_sink_never_meets_the_user_or_level_of_another, silence),
        cmocka_unit_test(a_limit_lets_a_burst_through_and_counts_the_rest),
        cmocka_unit_test(a_limit_takes_a_thread_with_an_older_time),
        cmocka_unit_test(a_limit_counts_the_lines_of_all_threads),
    };
    return PW_TEST_RUN(cases);
}
