// worker_crew - a worker in a thread, and the broker that it works for, played by the
// test.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"
#include "integration/farm.h"
#include "net/rmt_worker.h"

#define CREW_BEAT_MS 200

typedef struct {
    rmt_worker_t *worker;
    pthread_t thread;
    int rc;
    atomic_bool hold;    // Tasks "hold@x" wait while it is set
    const uint8_t *life; // Nonce that begins with the first result; NULL: none
    atomic_int starts, welcomes, peers;
    atomic_int ends; // Results that the worker has
    char told[200];  // Phases and results, of the worker's thread until it has ended
} crew_t;

// Start the worker; other is a second broker to which it may go, or NULL.
void crew_start(crew_t *crew, const farm_t *farm, zsock_t *other);

void crew_stop(crew_t *crew);

// Send msg to whom the packet came from.
void crew_answer(zsock_t *broker, rmt_packet_t *packet, rmt_msg_t *msg);

// The next message of a kind; others are passed over.
void crew_expect(zsock_t *broker, rmt_msg_kind_t kind, rmt_packet_t *packet);

// As a broker that was started again and knows nobody.
void crew_forget(zsock_t *broker, rmt_packet_t *packet);

// Take a HELLO and welcome it; packet keeps route and HELLO.
void crew_welcome(zsock_t *broker, rmt_packet_t *packet);

// A task of this service and number. Caller owns the result.
rmt_msg_t *crew_make_task(const char *service, uint8_t number, uint32_t attempt);

// Send a task to the worker in packet.
void crew_order(zsock_t *broker, rmt_packet_t *packet, const char *service,
                uint32_t attempt);

// Tell the worker that its result is recorded.
void crew_record(zsock_t *broker, rmt_packet_t *packet);
