// A sentinel in a stranger's hand neither holds up the broker nor fills its memory (P1,
// [1.79]).
#include "tools/rmt_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "state/rmt_sentinel.h"

#define LIMIT_MS 20000
#define ENDLESS ((size_t) 256 * 1024)

// One that says its words to each who connects.
typedef struct {
    int listener, peer;
    char address[32];
    const char *words;
    size_t left;
} stranger_t;

static void
s_open(stranger_t *self, const char *words, size_t size)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t own_size = sizeof own;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *self = (stranger_t){.peer = -1, .words = words, .left = size};
    self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_not_equal(self->listener, -1);
    assert_int_equal(bind(self->listener, (struct sockaddr *) &own, sizeof own), 0);
    assert_int_equal(listen(self->listener, 4), 0);
    assert_int_equal(getsockname(self->listener, (struct sockaddr *) &own, &own_size), 0);
    snprintf(self->address, sizeof self->address, "127.0.0.1:%u", ntohs(own.sin_port));
}

static void
s_speak(stranger_t *self)
{
    if (self->peer == -1)
        self->peer = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
    if (self->peer == -1)
        return;
    const ssize_t sent =
        send(self->peer, self->words, self->left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
        self->words += sent;
        self->left -= (size_t) sent;
    }
}

static void
s_close(stranger_t *self)
{
    close(self->listener);
    if (self->peer != -1)
        close(self->peer);
}

// What a broker with this sentinel alone has of it: the primary, or why there is none.
// The moment that it is told stands still, so that nothing is given up for its time.
static void
s_ask(const char *words, size_t size, char heard_out[RMT_REDIS_WHY_SIZE])
{
    stranger_t stranger;
    s_open(&stranger, words, size);
    const char *const list[] = {stranger.address, NULL};
    const rmt_state_server_t server = {.sentinels = list, .primary = "ramet"};
    rmt_auto(rmt_sentinel) sentinel = rmt_sentinel_new(&server);
    const int64_t until = rmt_clock_ms() + LIMIT_MS;
    const char *primary = NULL;
    zmq_pollitem_t items[RMT_SENTINELS_MAX];
    bool is_linked;
    do {
        rmt_sentinel_turn(sentinel, 0);
        const size_t count = rmt_sentinel_items(sentinel, items);
        s_speak(&stranger);
        assert_int_not_equal(zmq_poll(items, (int) count, 10), -1);
        rmt_sentinel_handle(sentinel, items, 0);
        (void) rmt_sentinel_items(sentinel, items);
        is_linked = items[0].fd != -1;
        primary = rmt_sentinel_primary(sentinel, heard_out);
    } while (is_linked && !primary && rmt_clock_ms() < until);
    if (primary)
        snprintf(heard_out, RMT_REDIS_WHY_SIZE, "%s", primary);
    else if (is_linked)
        fail_msg("the sentinel is listened to still");
    s_close(&stranger);
}

static void
test_a_sentinel_says_a_few_words(void **state)
{
    (void) state;
    static const struct {
        const char *words, *heard;
    } rows[] = {
        {"*2\r\n$9\r\n127.0.0.7\r\n$4\r\n6379\r\n", "127.0.0.7:6379"},
        {"-NOAUTH Authentication required.\r\n", "NOAUTH"},
        // 100 million places, each of which would be looked at.
        {"*100000000\r\n", "does not speak the protocol"},
        {"*2\r\n*100000000\r\n", "does not speak the protocol"},
        {"*2\r\n*1\r\n$1\r\na\r\n$1\r\nb\r\n", "does not speak the protocol"},
        {"+OK\r\n+OK\r\n", "it answers what it was not asked"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char heard[RMT_REDIS_WHY_SIZE];
        s_ask(rows[i].words, strlen(rows[i].words), heard);
        if (!strstr(heard, rows[i].heard))
            fail_msg("row %zu: %s", i, heard);
    }
}

static void
test_an_answer_of_a_sentinel_has_an_end(void **state)
{
    (void) state;
    char heard[RMT_REDIS_WHY_SIZE];
    rmt_auto_str words = malloc(ENDLESS);
    assert_non_null(words);
    memset(words, 'a', ENDLESS);
    memcpy(words, "$100000000\r\n", strlen("$100000000\r\n"));
    s_ask(words, ENDLESS, heard);
    assert_non_null(strstr(heard, "sends an answer without end"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sentinel_says_a_few_words),
        cmocka_unit_test(test_an_answer_of_a_sentinel_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
