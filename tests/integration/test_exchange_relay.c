// Targets of one job that give each other chunks: over real connections, with peers that
// lie, fall silent in the middle of a message, or ask for what they were not granted.
#include "integration/exchange_farm.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "exchange/rmt_intake.h"
#include "store/rmt_store.h"
#include "tools/rmt_wait.h"

#define FILES 300
#define PEERS 3
#define RING ((size_t) 64 * 1024 * 1024)

// A target: its relay, and how it reads.
typedef struct {
    rmt_key_t key;
    rmt_peering_t *relay;
    rmt_fetch_t *engine;
    rmt_intake_t *intake;
} s_target_t;

typedef struct {
    exchange_farm_t *farm;
    rmt_store_t *store;
    rmt_id_t image;
    rmt_id_t ids[FILES];
    s_target_t targets[PEERS];
    uint8_t *plain, *kept;
} s_case_t;

static void
s_expect(const s_case_t *self, const s_target_t *target)
{
    for (size_t i = 0; i < FILES; i++)
        rmt_intake_expect(target->intake, &self->ids[i], 1000);
}

static void
s_open_target(s_case_t *self, s_target_t *target)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_key_new(&target->key, &error));
    const rmt_peering_config_t config = {.endpoint = "127.0.0.1:*",
                                         .own = &target->key,
                                         .image = &self->image,
                                         .zap = self->farm->zap,
                                         .ring_bytes = RING};
    target->relay = rmt_peering_new(&config, &error);
    RMT_OK(target->relay);
    exchange_peers(self->farm, "add", &target->key, &self->image);
    target->engine = rmt_fetch_new(self->farm->holders, "127.0.0.1", &target->key,
                                   &self->image, &error);
    RMT_OK(target->engine);
    target->intake = rmt_intake_new(target->relay, target->engine);
    s_expect(self, target);
}

static void
s_open(exchange_farm_t *farm, s_case_t *self)
{
    self->farm = farm;
    self->store = fixture_open(farm->root);
    self->image = fixture_image(self->store, 1, FILES);
    for (size_t i = 0; i < FILES; i++)
        self->ids[i] = fixture_put(self->store, 1 + i, 1000);
    for (size_t i = 0; i < PEERS; i++)
        s_open_target(self, &self->targets[i]);
    self->plain = malloc(RMT_CHUNK_PLAIN_MAX);
    self->kept = malloc(RMT_CHUNK_PLAIN_MAX);
    assert_non_null(self->plain);
    assert_non_null(self->kept);
}

static void
s_close(s_case_t *self)
{
    for (size_t i = 0; i < PEERS; i++) {
        rmt_intake_destroy(&self->targets[i].intake);
        rmt_fetch_destroy(&self->targets[i].engine);
        rmt_peering_destroy(&self->targets[i].relay);
    }
    rmt_store_destroy(&self->store);
    free(self->plain);
    free(self->kept);
}

// What is read is what the store has.
static void
s_read(s_case_t *self, size_t who, size_t from, size_t end)
{
    rmt_error_t error = {0};
    for (size_t i = from; i < end; i++) {
        size_t size, kept;
        RMT_OK(rmt_intake_read(self->targets[who].intake, &self->ids[i], self->plain,
                               &size, &error));
        RMT_OK(rmt_store_read(self->store, &self->ids[i], self->kept, &kept, &error));
        assert_int_equal(size, kept);
        assert_memory_equal(self->plain, self->kept, size);
        rmt_pause(1, "a writer that takes its time");
    }
}

// As the broker does it; port 0: what the target itself says.
static void
s_introduce_at(s_case_t *self, size_t who, size_t to, unsigned port)
{
    rmt_auto(rmt_record) told = rmt_record_new();
    rmt_peering_tell(self->targets[who].relay, told);
    rmt_record_set(told, "key", self->targets[who].key.public_text);
    rmt_record_setf(told, "name", "n%zu", who);
    rmt_record_set(told, "addresses", "127.0.0.1");
    rmt_record_set_u64(told, "rank", who);
    if (port)
        rmt_record_set_u64(told, "port", port);
    rmt_auto(rmt_records) peers = rmt_records_new();
    rmt_records_append(peers, &told);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set_u64(body, "rank", to);
    rmt_peering_learn(self->targets[to].relay, body, peers);
}

static void
s_introduce(s_case_t *self, size_t one, size_t other)
{
    s_introduce_at(self, one, other, 0);
    s_introduce_at(self, other, one, 0);
}

static uint64_t
s_relayed(const s_case_t *self, size_t who)
{
    return rmt_intake_relayed(self->targets[who].intake);
}

// M35: the second reads from the first, and the third from the second; the engine gives
// little more than one image.
static void
test_each_reads_from_the_one_before_it(void **state)
{
    s_case_t self = {0};
    s_open(*state, &self);
    s_read(&self, 0, 0, FILES);
    s_introduce(&self, 0, 1);
    s_read(&self, 1, 0, FILES);
    s_introduce(&self, 1, 2);
    s_read(&self, 2, 0, FILES);
    assert_true(s_relayed(&self, 0) == 0);
    assert_true(s_relayed(&self, 1) >= FILES / 2);
    assert_true(s_relayed(&self, 2) >= FILES / 2);
    assert_true(exchange_stats(self.farm).chunks_sent <= 2 * FILES);
    rmt_serve_stats_t stats;
    rmt_peering_stats(self.targets[0].relay, &stats);
    assert_int_equal(stats.chunks_sent, s_relayed(&self, 1));
    s_close(&self);
}

// M35: a peer that has not what is asked for costs no time, and the engine gives it.
static void
test_a_peer_behind_is_not_asked(void **state)
{
    s_case_t self = {0};
    s_open(*state, &self);
    s_read(&self, 1, 0, 100);
    s_introduce(&self, 0, 1);
    s_read(&self, 1, 100, FILES);
    assert_int_equal(s_relayed(&self, 1), 0);
    s_close(&self);
}

// One whose ring has lost what it had says so at once.
static void
test_what_a_relay_lacks_comes_from_the_engine(void **state)
{
    s_case_t self = {0};
    s_open(*state, &self);
    s_read(&self, 0, 0, 60);
    s_introduce(&self, 0, 1);
    rmt_peering_stop(self.targets[0].relay);
    const int64_t begun = rmt_clock_ms();
    s_read(&self, 1, 0, FILES);
    assert_true(s_relayed(&self, 1) < 60);
    assert_true(rmt_clock_ms() - begun < 5000);
    s_close(&self);
}

// M35 P9 [1.84]: wrong bytes are seen, never given to the caller, told to the broker, and
// their sender is not asked again.
static void
test_a_peer_that_lies_is_left(void **state)
{
    s_case_t self = {0};
    s_open(*state, &self);
    static uint8_t wrong[1000];
    for (size_t i = 0; i < FILES; i++) {
        const rmt_chunk_t chunk = {.id = self.ids[i],
                                   .codec = RMT_CODEC_RAW,
                                   .plain_size = sizeof wrong,
                                   .size = sizeof wrong,
                                   .data = wrong};
        rmt_ring_put(rmt_peering_ring(self.targets[0].relay), &chunk);
    }
    s_introduce(&self, 0, 1);
    s_read(&self, 1, 0, FILES);
    assert_int_equal(s_relayed(&self, 1), 0);
    rmt_serve_stats_t stats;
    rmt_peering_stats(self.targets[0].relay, &stats);
    assert_true(stats.chunks_sent > 0);
    rmt_auto(rmt_record) told = rmt_record_new();
    rmt_peering_tell(self.targets[1].relay, told);
    assert_string_equal(rmt_record_text(told, "lied", ""),
                        self.targets[0].key.public_text);
    const uint64_t before = stats.chunks_sent;
    s_introduce(&self, 0, 1);
    s_expect(&self, &self.targets[1]);
    s_read(&self, 1, 0, FILES);
    rmt_peering_stats(self.targets[0].relay, &stats);
    assert_int_equal(stats.chunks_sent, before);
    s_close(&self);
}

// ---- A line that passes so many octets of the answer, and then holds all back

typedef struct {
    int listener;
    uint16_t to;
    size_t pass;
    int pace_ms; // Between pieces of 4 KiB of the answer, after the handshake; 0: none
    atomic_bool is_ended;
    pthread_t thread;
} s_line_t;

static void
s_copy(int from, int to, size_t *left)
{
    char data[4096];
    const ssize_t size = recv(from, data, sizeof data, MSG_DONTWAIT);
    if (size <= 0)
        return;
    const size_t part = (size_t) size < *left ? (size_t) size : *left;
    *left -= part;
    (void) send(to, data, part, MSG_NOSIGNAL);
}

static void *
s_carry(void *args)
{
    s_line_t *line = args;
    int in = -1, out = -1;
    size_t up = SIZE_MAX, down = line->pass;
    int64_t next_ms = 0;
    while (!atomic_load(&line->is_ended)) {
        struct pollfd fds[] = {{line->listener, POLLIN, 0},
                               {in, POLLIN, 0},
                               {out, rmt_clock_ms() < next_ms ? 0 : POLLIN, 0}};
        (void) poll(fds, 3, 20);
        if (fds[0].revents && in == -1) {
            in = accept(line->listener, NULL, NULL);
            out = socket(AF_INET, SOCK_STREAM, 0);
            const struct sockaddr_in to = {.sin_family = AF_INET,
                                           .sin_port = htons(line->to),
                                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            (void) connect(out, (const void *) &to, sizeof to);
        }
        if (fds[1].revents)
            s_copy(in, out, &up);
        if (fds[2].revents && rmt_clock_ms() >= next_ms) {
            s_copy(out, in, &down);
            if (line->pass - down > 3000)
                next_ms = rmt_clock_ms() + line->pace_ms;
        }
    }
    close(in);
    close(out);
    return NULL;
}

// Returns the port of the line.
static uint16_t
s_line_open(s_line_t *line, uint16_t to, size_t pass)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    line->to = to;
    line->pass = pass;
    line->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(line->listener, (const void *) &at, sizeof at), 0);
    assert_int_equal(listen(line->listener, 5), 0);
    assert_int_equal(getsockname(line->listener, (void *) &at, &size), 0);
    assert_int_equal(pthread_create(&line->thread, NULL, s_carry, line), 0);
    return ntohs(at.sin_port);
}

static void
s_line_close(s_line_t *line)
{
    atomic_store(&line->is_ended, true);
    pthread_join(line->thread, NULL);
    close(line->listener);
}

static uint16_t
s_port(const s_case_t *self, size_t who)
{
    rmt_auto(rmt_record) told = rmt_record_new();
    rmt_peering_tell(self->targets[who].relay, told);
    return (uint16_t) rmt_record_u64(told, "port", 0);
}

// M35: in the middle of a message of a window it falls silent: the engine gives the rest,
// within the second for which a peer is waited for.
static void
test_a_peer_that_stops_in_the_middle_is_left(void **state)
{
    s_case_t self = {0};
    s_line_t line = {0};
    s_open(*state, &self);
    s_read(&self, 0, 0, FILES);
    const uint16_t port = s_line_open(&line, s_port(&self, 0), (size_t) 60 * 1100 + 500);
    s_introduce_at(&self, 1, 0, 0);
    s_introduce_at(&self, 0, 1, port);
    const int64_t begun = rmt_clock_ms();
    s_read(&self, 1, 0, FILES);
    const int64_t passed = rmt_clock_ms() - begun;
    assert_true(s_relayed(&self, 1) > 0);
    assert_true(s_relayed(&self, 1) < 100);
    assert_true(passed >= 900 && passed < 8000);
    s_line_close(&line);
    s_close(&self);
}

// [1.84]: one that comes far slower than the engine does is left.
static void
test_a_peer_that_is_slow_is_left(void **state)
{
    s_case_t self = {0};
    s_line_t line = {.pace_ms = 400};
    s_open(*state, &self);
    s_read(&self, 0, 0, FILES);
    const uint16_t port = s_line_open(&line, s_port(&self, 0), SIZE_MAX);
    s_introduce_at(&self, 1, 0, 0);
    s_introduce_at(&self, 0, 1, port);
    const int64_t begun = rmt_clock_ms();
    s_read(&self, 1, 0, FILES);
    assert_true(s_relayed(&self, 1) > 0);
    assert_true(s_relayed(&self, 1) < 150);
    assert_true(rmt_clock_ms() - begun < 10000); // All of it would take 17 s and more
    s_line_close(&line);
    s_close(&self);
}

// [1.83]: a firewall, so nothing is answered. It costs nothing.
static void
test_a_peer_that_cannot_be_reached_costs_no_time(void **state)
{
    s_case_t self = {0};
    s_line_t line = {0};
    s_open(*state, &self);
    s_read(&self, 0, 0, FILES);
    const uint16_t port = s_line_open(&line, s_port(&self, 0), 0);
    s_introduce_at(&self, 0, 1, port);
    const int64_t begun = rmt_clock_ms();
    s_read(&self, 1, 0, FILES);
    assert_true(rmt_clock_ms() - begun < 900); // A wait for a peer would be 1000
    assert_int_equal(s_relayed(&self, 1), 0);
    s_line_close(&line);
    s_close(&self);
}

// ---- Who may ask

static zsock_t *
s_raw(const s_case_t *self, size_t who, const rmt_key_t *own)
{
    rmt_error_t error = {0};
    rmt_auto_str endpoint = rmt_text("127.0.0.1:%u", s_port(self, who));
    return rmt_socket_new(RMT_SOCKET_DATA_CLIENT, endpoint, own,
                          self->targets[who].key.public_text, &error);
}

// The next answer that is no beat.
static rmt_msg_t *
s_answer(zsock_t *socket)
{
    while (true) {
        rmt_msg_t *msg = exchange_recv(socket, 5000);
        if (!msg || msg->kind != RMT_MSG_BEAT)
            return msg;
        rmt_msg_destroy(&msg);
    }
}

// M35 [1.41] [1.81] [1.82]: a key that the broker has not named does not get in; one that
// it has named gets this image and no other; a second one is told that the slot is taken.
static void
test_a_relay_gives_to_one_who_was_named(void **state)
{
    s_case_t self = {0};
    s_open(*state, &self);
    s_read(&self, 0, 0, FILES);
    s_introduce(&self, 0, 1);
    s_introduce(&self, 0, 2);
    rmt_auto(rmt_msg) fetch = exchange_fetch(&self.image, self.ids, 10, 1024 * 1024);
    rmt_auto(zsock) stranger = s_raw(&self, 0, &self.farm->mallory);
    exchange_say(stranger, fetch);
    rmt_auto(zsock) one = s_raw(&self, 0, &self.targets[1].key);
    rmt_auto(rmt_msg) other_image =
        exchange_fetch(&self.ids[0], self.ids, 1, 1024 * 1024);
    exchange_say(one, other_image);
    rmt_auto(rmt_msg) refusal = s_answer(one);
    assert_non_null(refusal);
    assert_int_equal(refusal->kind, RMT_MSG_ABSENT);
    assert_int_equal(refusal->code, RMT_E_NOT_ALLOWED);
    exchange_say(one, fetch);
    rmt_auto(rmt_msg) chunk = s_answer(one);
    assert_non_null(chunk);
    assert_int_equal(chunk->kind, RMT_MSG_CHUNK);
    assert_true(chunk->done > 0);
    rmt_auto(zsock) two = s_raw(&self, 0, &self.targets[2].key);
    exchange_say(two, fetch);
    rmt_auto(rmt_msg) busy = s_answer(two);
    assert_non_null(busy);
    assert_int_equal(busy->kind, RMT_MSG_ABSENT);
    assert_int_equal(busy->code, RMT_E_BUSY);
    assert_true(busy->done > 0);
    assert_null(exchange_recv(stranger, 100));
    s_close(&self);
}

// ---- While both read

typedef struct {
    s_case_t *self;
    size_t who;
    pthread_t thread;
    int wrong;
} s_reader_t;

static void *
s_read_all(void *args)
{
    s_reader_t *reader = args;
    uint8_t *plain = malloc(RMT_CHUNK_PLAIN_MAX);
    for (size_t i = 0; i < FILES; i++) {
        rmt_error_t error = {0};
        size_t size;
        if (rmt_intake_read(reader->self->targets[reader->who].intake,
                            &reader->self->ids[i], plain, &size, &error) == -1)
            reader->wrong++;
        rmt_pause(1, "a writer that takes its time");
    }
    free(plain);
    return NULL;
}

// M35: they read at the same pace, and what one waits for the other waits for.
static void
test_peers_at_the_same_pace_stay_together(void **state)
{
    s_case_t self = {0};
    s_reader_t readers[PEERS] = {{0}};
    s_open(*state, &self);
    s_introduce(&self, 0, 1);
    s_introduce(&self, 1, 2);
    const int64_t begun = rmt_clock_ms();
    for (size_t i = 0; i < PEERS; i++) {
        readers[i] = (s_reader_t){.self = &self, .who = i};
        assert_int_equal(
            pthread_create(&readers[i].thread, NULL, s_read_all, &readers[i]), 0);
    }
    for (size_t i = 0; i < PEERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    assert_true(rmt_clock_ms() - begun < 10000);
    s_close(&self);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_reads_from_the_one_before_it),
        CASE(test_a_peer_behind_is_not_asked),
        CASE(test_what_a_relay_lacks_comes_from_the_engine),
        CASE(test_a_peer_that_lies_is_left),
        CASE(test_a_peer_that_stops_in_the_middle_is_left),
        CASE(test_a_peer_that_is_slow_is_left),
        CASE(test_a_peer_that_cannot_be_reached_costs_no_time),
        CASE(test_a_relay_gives_to_one_who_was_named),
        CASE(test_peers_at_the_same_pace_stay_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
