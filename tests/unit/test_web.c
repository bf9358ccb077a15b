// What clients that do not read cost the gateway: its memory, and its streams.
#include "gateway/web.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_memory.h"
#include "tools/rmt_test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_SIZE ((size_t) 8 * 1024 * 1024)
#define CLIENTS 40
#define SILENCE_MS 300

static web_answer_t *s_answer;
static unsigned s_asked;

static void
s_handle(void *context, web_request_t *request)
{
    (void) context;
    s_asked++;
    if (s_answer)
        web_answer(request, s_answer);
    else
        assert_true(web_stream(request));
}

static size_t
s_read(void *context, feed_mark_t *mark, char *out, size_t max)
{
    (void) context;
    (void) mark;
    memset(out, 'x', max);
    return max;
}

static web_t *
s_web(unsigned address_max)
{
    const web_config_t config = {.listen = "127.0.0.1:0",
                                 .connections_max = CLIENTS + 8,
                                 .streams_max = CLIENTS,
                                 .address_max = address_max,
                                 .silence_ms = SILENCE_MS,
                                 .handle = s_handle,
                                 .read = s_read};
    rmt_error_t error = {0};
    web_t *web = web_new(&config, &error);
    RMT_OK(web);
    s_asked = 0;
    return web;
}

// A client that has asked, and takes into the kernel no more than some KiB.
static int
s_client(const web_t *web)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = 4096;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(web_port(web)),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    assert_int_equal(connect(client, (const struct sockaddr *) &address, sizeof address),
                     0);
    assert_int_equal(write(client, text, sizeof text - 1), sizeof text - 1);
    return client;
}

// An answer of 8 MiB to 40 clients is in memory once.
static void
test_many_clients_share_one_answer(void **state)
{
    (void) state;
    rmt_auto(web) web = s_web(0);
    char *body = malloc(BODY_SIZE);
    assert_non_null(body);
    memset(body, 'x', BODY_SIZE);
    s_answer = web_answer_new(200, "text/plain", &body, BODY_SIZE);
    const size_t before = rmt_memory_resident();
    assert_true(before > 0);
    int clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = s_client(web);
    for (const int64_t end = rmt_clock_ms() + 10000;
         s_asked < CLIENTS && rmt_clock_ms() < end;)
        web_run(web);
    assert_int_equal(s_asked, CLIENTS);
    web_answer_destroy(&s_answer); // Those who have it keep it
    web_run(web);
    const size_t after = rmt_memory_resident();
    if (after > before + 4 * BODY_SIZE)
        fail_msg("%d clients cost %zu octets", CLIENTS, after - before);
    char answer[16] = "";
    assert_int_equal(read(clients[0], answer, 12), 12);
    assert_string_equal(answer, "HTTP/1.1 200");
    for (size_t i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

// Read what is there; how much that was.
static size_t
s_drain(int client)
{
    static char block[4096];
    const ssize_t size = recv(client, block, sizeof block, MSG_DONTWAIT);
    return size > 0 ? (size_t) size : 0;
}

// [11.12]: the slot of a stream is free again when its client takes nothing, though the
// kernel took something; one that reads slowly goes on.
static void
test_a_stream_that_nobody_takes_is_closed(void **state)
{
    (void) state;
    rmt_auto(web) web = s_web(0);
    const int still = s_client(web), slow = s_client(web);
    int64_t now = rmt_clock_ms(), read_ms = 0;
    const int64_t begin = now;
    size_t taken = 0;
    for (; web_counts(web).streams != 1 && now < begin + 5000; now = rmt_clock_ms()) {
        web_run(web);
        web_wake_streams(web);
        if (now < read_ms)
            continue;
        read_ms = now + SILENCE_MS / 10;
        taken += s_drain(slow);
    }
    assert_int_equal(web_counts(web).streams, 1);
    assert_true(now - begin >= SILENCE_MS);
    assert_true(taken > 0);
    for (now = begin; now < begin + 4 * SILENCE_MS; now = rmt_clock_ms()) {
        web_run(web);
        taken += s_drain(slow);
    }
    assert_int_equal(web_counts(web).streams, 1);
    close(still);
    close(slow);
}

// One address cannot take all connections from others.
static void
test_an_address_has_so_many_connections(void **state)
{
    (void) state;
    static const struct {
        unsigned address_max, open;
    } rows[] = {{0, 6}, {1, 1}, {4, 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(web) web = s_web(rows[i].address_max);
        int clients[6];
        for (size_t c = 0; c < 6; c++)
            clients[c] = s_client(web);
        for (const int64_t end = rmt_clock_ms() + 200; rmt_clock_ms() < end;)
            web_run(web);
        assert_int_equal(web_counts(web).streams, rows[i].open);
        for (size_t c = 0; c < 6; c++)
            close(clients[c]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_clients_share_one_answer),
        cmocka_unit_test(test_a_stream_that_nobody_takes_is_closed),
        cmocka_unit_test(test_an_address_has_so_many_connections),
    };
    return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
