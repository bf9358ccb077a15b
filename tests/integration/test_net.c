// lib/net over loopback: who gets in, and what is dropped.
#include "tools/rmt_test.h"

#include "farm.h"
#include "tools/rmt_wait.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static zsock_t *
s_connect(const farm_t *farm, const rmt_key_t *own, const char *server_key)
{
    rmt_error_t error = {0};
    rmt_auto_str address = farm_address(farm->workers);
    zsock_t *client =
        rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, address, own, server_key, &error);
    RMT_OK(client);
    return client;
}

static void
s_send_beat(zsock_t *client)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    RMT_OK(rmt_socket_send(client, NULL, beat, false, &error));
}

// ---- Who gets in

// P18: an unknown key does not pass the handshake, and it is counted.
static void
test_an_unknown_key_is_refused_and_counted(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    rmt_auto(zsock) client = s_connect(farm, &stranger, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
    assert_true(rmt_zap_refused(farm->zap) > 0);
}

// [1.46]: while the lists are open, a key that no list has yet is not refused, and gets
// in at once when they are complete; a stranger is refused then.
static void
test_a_key_that_is_not_known_yet_waits_for_the_lists(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_key_t late, stranger;
    RMT_OK(rmt_key_new(&stranger, &error));
    RMT_OK(rmt_key_new(&late, &error));
    rmt_zap_open_lists(farm->zap);
    const uint64_t before = rmt_zap_refused(farm->zap);
    rmt_auto(zsock) client = s_connect(farm, &late, farm->broker.public_text);
    rmt_auto(zsock) strange = s_connect(farm, &stranger, farm->broker.public_text);
    s_send_beat(client);
    s_send_beat(strange);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
    assert_int_equal(rmt_zap_refused(farm->zap), before);
    rmt_zap_allow(farm->zap, "workers", late.public_text);
    rmt_zap_close_lists(farm->zap);
    // A handshake that was dropped would be tried again after 6 s.
    assert_int_equal(farm_receive(farm->workers, &packet, RMT_HANDSHAKE_MS / 2), 1);
    assert_string_equal(packet.user, late.public_text);
    rmt_packet_clear(&packet);
    RMT_WAIT_UNTIL(rmt_zap_refused(farm->zap) > before, WAIT_MS);
}

static void
test_a_key_gets_into_its_own_domain_alone(void **state)
{
    farm_t *farm = *state;
    rmt_zap_deny(farm->zap, "workers", farm->own.public_text);
    rmt_zap_allow(farm->zap, "agents", farm->own.public_text);
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
    rmt_zap_allow_any(farm->zap, "workers");
    // The refused client keeps trying by itself.
    rmt_auto(zsock) again = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(again);
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_string_equal(packet.user, farm->own.public_text);
    rmt_packet_clear(&packet);
}

// A listener of TCP alone: connections stand, and nothing answers.
static int
s_listen_silently(char address[64])
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    assert_int_equal(bind(fd, (struct sockaddr *) &name, size), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &name, &size), 0);
    snprintf(address, 64, "127.0.0.1:%d", ntohs(name.sin_port));
    return fd;
}

static size_t
s_count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    size_t count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

// P5: brokers that never answer a handshake, and brokers that break it off, stop no
// socket of this process, however often they are dialled, and no descriptor stays open.
static void
test_a_silent_broker_does_not_stop_the_other_sockets(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    char address[64];
    const int listener = s_listen_silently(address);
    const size_t before = s_count_descriptors();
    for (int i = 0; i < 100; i++) {
        zsock_t *watcher = NULL;
        zsock_t *client =
            rmt_socket_new_watched(RMT_SOCKET_CONTROL_CLIENT, address, &farm->own,
                                   farm->broker.public_text, &watcher, &error);
        RMT_OK(client);
        s_send_beat(client);
        const int fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        if (i % 3 == 1)
            close(fd); // The handshake fails while the socket is closed
        rmt_socket_close_watched(&client, &watcher);
        if (i % 3 != 1)
            close(fd);
    }
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), 1);
    rmt_packet_clear(&packet);
    zsock_destroy(&client);
    RMT_WAIT_UNTIL(s_count_descriptors() <= before + 4, WAIT_MS);
    close(listener);
}

// P18 [1.3]: every check fails closed.
static void
test_nobody_gets_in_without_a_zap_thread(void **state)
{
    farm_t *farm = *state;
    rmt_zap_destroy(&farm->zap);
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
}

static void
test_the_self_test_sees_who_gets_in(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    // A stranger may be refused before it could say a word.
    for (int i = 0; i < 100; i++)
        RMT_OK(rmt_zap_self_test(farm->zap, &error));
    rmt_zap_allow_any(farm->zap, "data");
    RMT_FAILS(rmt_zap_self_test(farm->zap, &error), RMT_E_INTERNAL);
}

static void
test_a_second_zap_thread_is_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_zap_new(&error), RMT_E_EXISTS);
}

static void
test_a_wrong_server_key_connects_to_nobody(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->own.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
}

static void
test_endpoints_that_are_none_are_refused(void **state)
{
    farm_t *farm = *state;
    static const char *const rows[] = {"nowhere", "127.0.0.1:0", "*:1", "ipc://x:1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_socket_new(RMT_SOCKET_CONTROL_CLIENT, rows[i], &farm->own,
                                 farm->broker.public_text, &error),
                  RMT_E_USAGE);
    }
    rmt_error_t error = {0};
    rmt_auto_str address = farm_address(farm->workers);
    RMT_FAILS(rmt_socket_new(RMT_SOCKET_DATA_SERVER, address, &farm->own, NULL, &error),
              RMT_E_IO);
}

// [1.4]: with them and a finite queue libzmq 4.3.4 aborts.
static void
test_no_socket_sends_heartbeats_of_zmtp(void **state)
{
    farm_t *farm = *state;
    for (int kind = 0; kind < RMT_SOCKET_KIND_COUNT; kind++) {
        rmt_error_t error = {0};
        const bool is_server = rmt_socket_domain((rmt_socket_kind_t) kind) != NULL;
        rmt_auto_str address =
            is_server ? rmt_text("127.0.0.1:*") : farm_address(farm->workers);
        rmt_auto(zsock) socket =
            rmt_socket_new((rmt_socket_kind_t) kind, address, &farm->own,
                           is_server ? NULL : farm->broker.public_text, &error);
        assert_non_null(socket);
        assert_int_equal(zsock_heartbeat_ivl(socket), 0);
    }
}

// ---- What is dropped

static void
test_a_message_without_user_is_dropped(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(zsock) server = zsock_new(ZMQ_ROUTER);
    const int port = zsock_bind(server, "tcp://127.0.0.1:*");
    assert_true(port > 0);
    rmt_auto(zsock) client = zsock_new(ZMQ_DEALER);
    zsock_connect(client, "tcp://127.0.0.1:%d", port);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    RMT_OK(rmt_socket_send(client, NULL, beat, false, &error));
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(server, &packet, WAIT_MS), -1);
    assert_null(packet.msg);
    assert_string_equal(packet.user, "");
    rmt_packet_clear(&packet);
}

static void
s_send_parts(zsock_t *client, size_t count, size_t size)
{
    rmt_auto_ptr bytes = zmalloc(size);
    for (size_t i = 0; i < count; i++) {
        rmt_auto(zframe) frame = zframe_new(bytes, size);
        zframe_send(&frame, client, i + 1 < count ? ZFRAME_MORE : 0);
    }
}

// P16 [1.5]: the sender is told to the caller, and good messages after it pass.
static void
test_foreign_frames_are_dropped_with_their_sender(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    static const size_t counts[] = {1, 2, 3, 100};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        s_send_parts(client, counts[i], 8);
        rmt_packet_t packet = {0};
        assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), -1);
        assert_null(packet.msg);
        assert_string_equal(packet.user, farm->own.public_text);
        rmt_packet_clear(&packet);
    }
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_int_equal(packet.msg->kind, RMT_MSG_BEAT);
    rmt_packet_clear(&packet);
    assert_int_equal(farm_receive(farm->workers, &packet, 0), 0);
}

// P16 [1.5]: libzmq cuts the peer before the frame is in memory.
static void
test_an_oversize_frame_cuts_its_sender(void **state)
{
    farm_t *farm = *state;
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    s_send_beat(client);
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), 1);
    rmt_auto(zframe) route = rmt_take(&packet.route);
    rmt_packet_clear(&packet);
    s_send_parts(client, 1, RMT_CONTROL_SIZE_MAX * 2);
    assert_int_equal(farm_receive(farm->workers, &packet, QUIET_MS), 0);
    // Its connection is gone, so the broker cannot answer on it any more.
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    RMT_FAILS(rmt_socket_send(farm->workers, route, beat, false, &error),
              RMT_E_NOT_FOUND);
}

static void
test_bytes_travel_with_a_chunk_alone(void **state)
{
    farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(zsock) client = s_connect(farm, &farm->own, farm->broker.public_text);
    rmt_auto(rmt_msg) chunk = rmt_msg_new(RMT_MSG_CHUNK);
    memset(chunk->id, 1, sizeof chunk->id);
    chunk->size = 5;
    chunk->payload = zframe_new("hello", 5);
    RMT_OK(rmt_socket_send(client, NULL, chunk, false, &error));
    rmt_packet_t packet = {0};
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), 1);
    assert_true(zframe_streq(packet.msg->payload, "hello"));
    rmt_packet_clear(&packet);
    rmt_auto(rmt_msg) beat = rmt_msg_new(RMT_MSG_BEAT);
    beat->payload = zframe_new("hello", 5);
    RMT_OK(rmt_socket_send(client, NULL, beat, false, &error));
    assert_int_equal(farm_receive(farm->workers, &packet, WAIT_MS), -1);
    rmt_packet_clear(&packet);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_an_unknown_key_is_refused_and_counted),
        CASE(test_a_key_that_is_not_known_yet_waits_for_the_lists),
        CASE(test_a_key_gets_into_its_own_domain_alone),
        CASE(test_a_silent_broker_does_not_stop_the_other_sockets),
        CASE(test_nobody_gets_in_without_a_zap_thread),
        CASE(test_the_self_test_sees_who_gets_in),
        CASE(test_a_second_zap_thread_is_refused),
        CASE(test_a_wrong_server_key_connects_to_nobody),
        CASE(test_endpoints_that_are_none_are_refused),
        CASE(test_no_socket_sends_heartbeats_of_zmtp),
        CASE(test_a_message_without_user_is_dropped),
        CASE(test_foreign_frames_are_dropped_with_their_sender),
        CASE(test_an_oversize_frame_cuts_its_sender),
        CASE(test_bytes_travel_with_a_chunk_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
