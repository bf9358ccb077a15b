// ramet-crowd BROKER BROKER.pub TOKEN FIRST COUNT - so many targets in one process: each
// enrols, says HELLO and beats as an agent does, and comes back when the broker was away.
// BROKER is host:base. It prints "enrolled N" once, and "welcome N" when that changes.
// SIGTERM ends it.
#include <czmq.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"
#include "base/rmt_signals.h"
#include "facts/rmt_endpoint.h"
#include "net/rmt_enrol.h"
#include "net/rmt_peer.h"

#define THREADS 8 // That enrol at once
#define TURN_MS 20

typedef struct {
    char name[32];
    rmt_key_t key;
    uint8_t nonce[RMT_UID_SIZE];
    rmt_peer_t *peer;
    int64_t due_at;
} member_t;

static struct {
    const char *broker, *token;
    rmt_key_t broker_key;
    member_t *members;
    size_t count;
    atomic_size_t next;
} s_crowd;

static void
s_must(int result, const rmt_error_t *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "ramet-crowd: %s\n", error->text);
    exit(EXIT_FAILURE);
}

// ---- Enrolment

static void
s_enrol(member_t *member)
{
    char uuid[RMT_RANDOM_UUID_SIZE];
    rmt_error_t error = {0};
    const char *const brokers[] = {s_crowd.broker, NULL};
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_record) answer = NULL;
    rmt_record_set(body, "role", "target");
    rmt_record_set(body, "name", member->name);
    rmt_record_setf(body, "identity", "uuid:%s", rmt_random_uuid(uuid));
    s_must(rmt_key_new(&member->key, &error), &error);
    rmt_random_bytes(member->nonce, sizeof member->nonce);
    const rmt_enrol_config_t config = {.brokers = brokers,
                                       .broker_key = s_crowd.broker_key.public_text,
                                       .own = &member->key,
                                       .token = s_crowd.token,
                                       .nonce = member->nonce,
                                       .body = body,
                                       .timeout_ms = 60000};
    s_must(rmt_enrol(&config, &answer, &error), &error);
}

static void *
s_enrol_some(void *argument)
{
    (void) argument;
    for (size_t i; (i = atomic_fetch_add(&s_crowd.next, 1)) < s_crowd.count;)
        s_enrol(&s_crowd.members[i]);
    return NULL;
}

static void
s_enrol_all(void)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, s_enrol_some, NULL) != 0)
            exit(EXIT_FAILURE);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("enrolled %zu\n", s_crowd.count);
}

// ---- What an agent says

static rmt_msg_t *
s_hello(void *context)
{
    static const char *const verbs[] = {"prepare", "write", "reboot"};
    const member_t *member = context;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_HELLO);
    msg->version_min = msg->version_max = RMT_WIRE_VERSION;
    rmt_msg_text(&msg->role, "target");
    rmt_msg_text(&msg->name, member->name);
    memcpy(msg->nonce, member->nonce, RMT_UID_SIZE);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        rmt_record_t *record = rmt_records_add(rmt_msg_items(msg));
        rmt_record_setf(record, "service", "%s@target/%s", verbs[i], member->name);
        rmt_record_set_u64(record, "slots", 1);
    }
    msg->hand = rmt_records_new();
    return msg;
}

static rmt_msg_t *
s_beat(void *context)
{
    (void) context;
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_BEAT);
    msg->hand = rmt_records_new();
    return msg;
}

static void
s_meet(member_t *member)
{
    rmt_error_t error = {0};
    rmt_auto_str agents = rmt_endpoint_broker(s_crowd.broker, RMT_PORT_AGENTS, &error);
    const char *const brokers[] = {agents, NULL};
    s_must(agents ? 0 : -1, &error);
    const rmt_peer_config_t config = {.brokers = brokers,
                                      .own = &member->key,
                                      .broker_key = s_crowd.broker_key.public_text,
                                      .hello = s_hello,
                                      .beat = s_beat,
                                      .context = member};
    member->peer = rmt_peer_new(&config, &error);
    s_must(member->peer ? 0 : -1, &error);
}

// ---- The loop

static size_t
s_turn(int64_t now)
{
    size_t welcome = 0;
    for (size_t i = 0; i < s_crowd.count; i++) {
        member_t *member = &s_crowd.members[i];
        for (rmt_msg_t *msg; (msg = rmt_peer_recv(member->peer));)
            rmt_msg_destroy(&msg);
        if (now >= member->due_at)
            member->due_at = now + rmt_peer_tick(member->peer);
        welcome += rmt_peer_is_welcome(member->peer);
    }
    return welcome;
}

static void
s_live(int signals)
{
    size_t told = SIZE_MAX;
    zmq_pollitem_t item = {NULL, signals, ZMQ_POLLIN, 0};
    while (rmt_signals_read(signals) == 0) {
        const size_t welcome = s_turn(rmt_clock_ms());
        if (welcome != told)
            printf("welcome %zu\n", welcome);
        told = welcome;
        (void) zmq_poll(&item, 1, TURN_MS);
    }
}

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    if (argc != 6)
        return 64;
    rmt_signals_block();
    zsys_init();
    zsys_set_max_sockets(0); // As many as libzmq can
    setvbuf(stdout, NULL, _IOLBF, 0);
    s_crowd.broker = argv[1];
    s_must(rmt_key_load_public(&s_crowd.broker_key, argv[2], &error), &error);
    s_crowd.token = argv[3];
    const size_t first = strtoul(argv[4], NULL, 10);
    s_crowd.count = strtoul(argv[5], NULL, 10);
    s_crowd.members = calloc(s_crowd.count, sizeof *s_crowd.members);
    for (size_t i = 0; i < s_crowd.count; i++)
        snprintf(s_crowd.members[i].name, sizeof s_crowd.members[i].name, "n%05zu",
                 first + i);
    s_enrol_all();
    for (size_t i = 0; i < s_crowd.count; i++)
        s_meet(&s_crowd.members[i]);
    rmt_auto_fd signals = rmt_signals_open(&error);
    s_live(signals);
    for (size_t i = 0; i < s_crowd.count; i++)
        rmt_peer_destroy(&s_crowd.members[i].peer);
    free(s_crowd.members);
    return 0;
}
