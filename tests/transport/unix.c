/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is special to sockets of the local machine: their files, and who may replace them. */
#include "net.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char *folder;
static char path[PW_ENDPOINT_PATH_MAX + 1];
static char lock_path[PW_ENDPOINT_PATH_MAX + 16];
static char url[PW_ENDPOINT_PATH_MAX + 16];

static void set_path(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    snprintf(url, sizeof(url), "unix:%s", path);
}

/* The file that flock(2) is to find replaced by one that somebody else has locked; that one's fd. */
static bool lock_changes_hands;
static int others_lock = -1;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
    if (lock_changes_hands) {
        lock_changes_hands = false;
        (void)unlink(lock_path);
        others_lock = open(lock_path, O_CREAT | O_CLOEXEC | O_RDONLY, 0600);
        (void)__real_flock(others_lock, LOCK_EX);
    }
    return __real_flock(fd, operation);
}

/* Each case has a path at which there is nothing, and leaves nothing there. */
static int begin(void **state)
{
    set_path("s");
    return net_count_fds(state);
}

static int end(void **state)
{
    const bool clean = unlink(path) != 0 && unlink(lock_path) != 0;
    if (!clean) {
        print_error("%s or its lock was left behind\n", path);
    }
    return net_compare_fds(state) == 0 && clean ? 0 : -1;
}

static bool exists(const char *name)
{
    struct stat info;
    return lstat(name, &info) == 0;
}

/* A socket of somebody else, bound at `path`; listening with this backlog unless it is negative. */
static int foreign_socket(int type, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (backlog >= 0) {
        assert_int_equal(listen(fd, backlog), 0);
    }
    return fd;
}

static void expect_works(struct pw_listener *listener)
{
    struct pw_conn *client;
    struct pw_conn *server;
    net_pair(listener, &client, &server);
    net_send(client, "x", 1);
    char byte;
    net_receive(server, &byte, 1);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
}

static void removes_its_file_and_its_lock(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen(url);
    assert_true(exists(path));
    assert_true(exists(lock_path));
    pw_listener_destroy(listener);
    assert_false(exists(path));
    assert_false(exists(lock_path));
}

static void replaces_a_file_that_a_crash_left_behind(void **state)
{
    (void)state;
    close(foreign_socket(SOCK_STREAM, 5));
    assert_true(exists(path));
    /* The crash left the lock file as well, but no lock. */
    close(open(lock_path, O_CREAT | O_CLOEXEC | O_RDONLY, 0600));
    struct pw_listener *const listener = net_listen(url);
    expect_works(listener);
    pw_listener_destroy(listener);
}

static void leaves_a_file_that_is_no_socket_alone(void **state)
{
    (void)state;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("precious", file);
    fclose(file);
    struct pywatt_error error;
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "a file that is not a socket stands there");
    char text[16] = "";
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "precious");
    assert_int_equal(unlink(path), 0);
}

static void leaves_a_link_alone_even_to_an_abandoned_socket(void **state)
{
    (void)state;
    set_path("target");
    close(foreign_socket(SOCK_STREAM, 5));
    char target[sizeof(path)];
    strcpy(target, path);
    set_path("s");
    assert_int_equal(symlink(target, path), 0);
    struct pywatt_error error;
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "not a socket");
    assert_true(exists(target));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(target), 0);
}

static void leaves_a_socket_on_which_somebody_listens_alone(void **state)
{
    (void)state;
    static const struct {
        int type;
        int backlog;
    } kinds[] = {{SOCK_STREAM, 5}, {SOCK_STREAM, 0}, {SOCK_SEQPACKET, 5}, {SOCK_DGRAM, -1}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct stat before;
        struct stat after;
        struct pywatt_error error;
        const int fd = foreign_socket(kinds[i].type, kinds[i].backlog);
        assert_int_equal(lstat(path, &before), 0);
        net_refused_to_listen(url, &error);
        net_expect_text(&error, "somebody listens there already");
        /* Again: the first attempt may have filled the queue. */
        net_refused_to_listen(url, &error);
        net_expect_text(&error, "somebody listens there already");
        assert_int_equal(lstat(path, &after), 0);
        assert_true(before.st_ino == after.st_ino);
        assert_false(exists(lock_path));
        close(fd);
        assert_int_equal(unlink(path), 0);
    }
}

static void leaves_a_file_that_took_its_place_alone(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen(url);
    assert_int_equal(unlink(path), 0);
    const int fd = foreign_socket(SOCK_STREAM, 5);
    pw_listener_destroy(listener);
    assert_true(exists(path));
    close(fd);
    assert_int_equal(unlink(path), 0);
}

static void survives_that_its_file_is_gone(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen(url);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(lock_path), 0);
    pw_listener_destroy(listener);
}

struct racer {
    pthread_barrier_t *start;
    const struct pw_endpoint *endpoint;
    struct pw_listener *listener;
    enum pywatt_status status;
};

static void *racer_main(void *arg)
{
    struct racer *const racer = arg;
    pthread_barrier_wait(racer->start);
    racer->status = pw_transport_listen(racer->endpoint, &racer->listener, NULL);
    return NULL;
}

static void of_many_who_want_an_abandoned_path_one_gets_it(void **state)
{
    (void)state;
    enum {
        RACERS = 8
    };
    const int rounds = pw_test_slow_factor() > 10 ? 3 : 30; /* Valgrind runs one thread at a time */
    const struct pw_endpoint endpoint = net_endpoint(url, true);
    for (int round = 0; round < rounds; round++) {
        close(foreign_socket(SOCK_STREAM, 5));
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, RACERS);
        struct racer racers[RACERS];
        pthread_t threads[RACERS];
        for (size_t i = 0; i < RACERS; i++) {
            racers[i] = (struct racer){.start = &start, .endpoint = &endpoint};
            assert_int_equal(pthread_create(&threads[i], NULL, racer_main, &racers[i]), 0);
        }
        struct pw_listener *winner = NULL;
        for (size_t i = 0; i < RACERS; i++) {
            pthread_join(threads[i], NULL);
            if (racers[i].status == PYWATT_OK) {
                assert_null(winner);
                winner = racers[i].listener;
            } else {
                assert_int_equal(racers[i].status, PYWATT_IO);
            }
        }
        pthread_barrier_destroy(&start);
        assert_non_null(winner);
        expect_works(winner);
        pw_listener_destroy(winner);
        assert_false(exists(path));
    }
}

struct churner {
    const struct pw_endpoint *endpoint;
    atomic_int *owners;
    int rounds;
    int listened;
    bool shared; /* somebody else had the path as well */
};

static void *churner_main(void *arg)
{
    struct churner *const churner = arg;
    for (int i = 0; i < churner->rounds; i++) {
        struct pw_listener *listener = NULL;
        if (pw_transport_listen(churner->endpoint, &listener, NULL) == PYWATT_OK) {
            churner->listened++;
            churner->shared = churner->shared || atomic_fetch_add(churner->owners, 1) != 0;
            atomic_fetch_sub(churner->owners, 1);
            pw_listener_destroy(listener);
        }
    }
    return NULL;
}

static void a_path_that_changes_hands_has_one_owner_at_a_time(void **state)
{
    (void)state;
    enum {
        THREADS = 4
    };
    const struct pw_endpoint endpoint = net_endpoint(url, true);
    atomic_int owners = 0;
    struct churner churners[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        churners[i] = (struct churner){.endpoint = &endpoint,
                                       .owners = &owners,
                                       .rounds = pw_test_slow_factor() > 10 ? 50 : 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, churner_main, &churners[i]), 0);
    }
    int listened = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(churners[i].shared);
        listened += churners[i].listened;
    }
    assert_true(listened > 0);
}

static void a_lock_file_that_was_replaced_gives_no_right(void **state)
{
    (void)state;
    struct pywatt_error error;
    lock_changes_hands = true;
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "somebody listens there already");
    assert_true(others_lock >= 0);
    assert_true(exists(lock_path));
    close(others_lock);
    assert_int_equal(unlink(lock_path), 0);
}

static void the_umask_decides_who_may_connect(void **state)
{
    (void)state;
    const mode_t before = umask(0027);
    struct pw_listener *const listener = net_listen(url);
    umask(before);
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0750);
    pw_listener_destroy(listener);
}

static void a_folder_that_does_not_exist_is_named(void **state)
{
    (void)state;
    set_path("no/s");
    struct pywatt_error error;
    net_refused_to_listen(url, &error);
    net_expect_text(&error, "No such file or directory");
    set_path("s");
}

static void the_longest_path_works(void **state)
{
    (void)state;
    const size_t len = strlen(folder);
    char name[PW_ENDPOINT_PATH_MAX + 1];
    memset(name, 'n', sizeof(name));
    name[PW_ENDPOINT_PATH_MAX - len - 1] = '\0';
    set_path(name);
    assert_int_equal(strlen(path), PW_ENDPOINT_PATH_MAX);
    struct pw_listener *const listener = net_listen(url);
    expect_works(listener);
    pw_listener_destroy(listener);
    assert_false(exists(path));
}

static void an_abstract_name_has_no_file(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "unix:@pywatt-test-%d", (int)getpid());
    struct pw_listener *const listener = net_listen(name);
    expect_works(listener);
    char told[PW_ENDPOINT_URL_MAX];
    pw_listener_url(listener, told, sizeof(told));
    assert_string_equal(told, name);
    pw_listener_destroy(listener);
}

static void names_the_process_of_its_peer(void **state)
{
    (void)state;
    struct pw_listener *const listener = net_listen(url);
    struct pw_conn *client;
    struct pw_conn *server;
    char expected[64];
    char name[PW_ENDPOINT_URL_MAX];
    net_pair(listener, &client, &server);
    snprintf(expected, sizeof(expected), "unix:pid %d", (int)getpid());
    pw_conn_peer_name(server, name, sizeof(name));
    assert_string_equal(name, expected);
    pw_conn_peer_name(client, name, sizeof(name));
    assert_string_equal(name, url);
    pw_conn_destroy(client);
    pw_conn_destroy(server);
    pw_listener_destroy(listener);
}

/* ---- A queue that is full ------------------------------------------------------------------ */

/* Fills the queue of a listener of somebody else's; its one connection. */
static int fill_queue(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void a_full_queue_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    const int listener = foreign_socket(SOCK_STREAM, 0);
    const int filler = fill_queue();
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    struct pw_conn *conn = NULL;
    struct pywatt_error error = {.status = PYWATT_OK};
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(20);
    assert_int_equal(pw_transport_connect(&endpoint, deadline_ns, -1, &conn, &error),
                     PYWATT_TIMEOUT);
    assert_true(pw_clock_now_ns(&pw_clock_monotonic) >= deadline_ns);
    net_expect_text(&error, url);
    close(filler);
    close(listener);
    assert_int_equal(unlink(path), 0);
}

struct connector {
    const struct pw_endpoint *endpoint;
    int cancel_fd;
    atomic_int tid;
    enum pywatt_status status;
    struct pw_conn *conn;
};

static void *connector_main(void *arg)
{
    struct connector *const connector = arg;
    atomic_store(&connector->tid, gettid());
    connector->status = pw_transport_connect(connector->endpoint, net_deadline_ns(),
                                             connector->cancel_fd, &connector->conn, NULL);
    return NULL;
}

static void connects_as_soon_as_the_queue_has_room(void **state)
{
    (void)state;
    const int listener = foreign_socket(SOCK_STREAM, 0);
    const int filler = fill_queue();
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    struct connector connector = {.endpoint = &endpoint, .cancel_fd = -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, connector_main, &connector), 0);
    const bool sleeps = pw_test_wait_until(net_thread_sleeps, &connector.tid, NET_PATIENCE_MS);
    const int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_join(thread, NULL);
    assert_true(sleeps);
    assert_true(accepted >= 0);
    assert_int_equal(connector.status, PYWATT_OK);
    pw_conn_destroy(connector.conn);
    close(accepted);
    close(filler);
    close(listener);
    assert_int_equal(unlink(path), 0);
}

static void can_be_cancelled_while_the_queue_is_full(void **state)
{
    (void)state;
    const int listener = foreign_socket(SOCK_STREAM, 0);
    const int filler = fill_queue();
    const struct pw_endpoint endpoint = net_endpoint(url, false);
    struct connector connector = {.endpoint = &endpoint, .cancel_fd = eventfd(0, EFD_CLOEXEC)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, connector_main, &connector), 0);
    const bool sleeps = pw_test_wait_until(net_thread_sleeps, &connector.tid, NET_PATIENCE_MS);
    assert_int_equal(eventfd_write(connector.cancel_fd, 1), 0);
    pthread_join(thread, NULL);
    assert_true(sleeps);
    assert_int_equal(connector.status, PYWATT_CLOSED);
    close(connector.cancel_fd);
    close(filler);
    close(listener);
    assert_int_equal(unlink(path), 0);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(removes_its_file_and_its_lock),
        CASE(replaces_a_file_that_a_crash_left_behind),
        CASE(leaves_a_file_that_is_no_socket_alone),
        CASE(leaves_a_link_alone_even_to_an_abandoned_socket),
        CASE(leaves_a_socket_on_which_somebody_listens_alone),
        CASE(leaves_a_file_that_took_its_place_alone),
        CASE(survives_that_its_file_is_gone),
        CASE(of_many_who_want_an_abandoned_path_one_gets_it),
        CASE(a_path_that_changes_hands_has_one_owner_at_a_time),
        CASE(a_lock_file_that_was_replaced_gives_no_right),
        CASE(the_umask_decides_who_may_connect),
        CASE(a_folder_that_does_not_exist_is_named),
        CASE(the_longest_path_works),
        CASE(an_abstract_name_has_no_file),
        CASE(names_the_process_of_its_peer),
        CASE(a_full_queue_is_waited_for_until_the_deadline),
        CASE(connects_as_soon_as_the_queue_has_room),
        CASE(can_be_cancelled_while_the_queue_is_full),
    };
    folder = pw_test_temp_dir();
    const int result = PW_TEST_RUN(cases);
    free(folder);
    return result;
}
