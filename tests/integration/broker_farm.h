// broker_farm - a real broker over a real Redis, its clients, and workers and agents of
// the test's own.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"
#include "integration/redis_server.h"
#include "facts/rmt_endpoint.h"
#include "net/rmt_client.h"
#include "net/rmt_socket.h"
#include "net/rmt_worker.h"

#define BROKER_WAIT_MS 20000

typedef struct {
    redis_server_t redis;
    pid_t broker;
    uint16_t port;
    rmt_key_t broker_key, admin;
    rmt_client_t *client;
} broker_farm_t;

// The first of five free ports.
uint16_t broker_free_ports(void);

// Start the broker that was configured under this name. Returns its process.
pid_t broker_spawn(const broker_farm_t *farm, const char *name);

// The broker of this farm.
void broker_start(broker_farm_t *farm);

// Broker NAME at farm->port, which looks for what it was not told of every scan_ms.
void broker_configure(const broker_farm_t *farm, const char *name, unsigned scan_ms);

// A console with this key. Caller owns the result.
rmt_client_t *broker_client(const broker_farm_t *farm, const rmt_key_t *key);

// cmocka set-up and tear-down: *state is a broker_farm_t.
int broker_farm_open(void **state);
int broker_farm_close(void **state);

// NULL, and the code in error, when it was refused.
rmt_msg_t *broker_ask(rmt_client_t *client, const char *verb, const char *body_text,
                      const char *items_text, const uint8_t *idempotency,
                      rmt_error_t *error);

// The admin asks, and is not refused. Caller owns the result.
rmt_msg_t *broker_need(broker_farm_t *farm, const char *verb, const char *body,
                       const char *items);

// Make a key of this role known. place may be empty.
rmt_key_t broker_enrol(broker_farm_t *farm, const char *role, const char *name,
                       const char *place);

// Wait until the job is in that state.
rmt_msg_t *broker_await_job(broker_farm_t *farm, const char *job, const char *state);

typedef struct {
    rmt_worker_t *worker;
    pthread_t thread;
    atomic_int runs, ends; // Tasks begun, and results that the worker has
    atomic_int is_held;    // Tasks wait while it is set
    const char *first_key; // What prepare hands out for the first boot
    const char *folder;    // Of the broker's files
} hand_t;

// A worker or agent in a thread of its own, with these services. Caller owns the result.
hand_t *hand_hire(broker_farm_t *farm, const char *role, const char *name,
                  const rmt_key_t *key, const rmt_service_t *services, size_t count);

void hand_dismiss(hand_t **hand_p);

#define IMAGE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// What hands do for a task of each kind.
int hand_run_commit(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_plain(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_match(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_order(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_prepare(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_write(rmt_task_t *task, void *context, rmt_error_t *error);
int hand_run_netboot(rmt_task_t *task, void *context, rmt_error_t *error);

// An imager of hq, and the source "web", with the services of each.
hand_t *hand_hire_imager(broker_farm_t *farm);
hand_t *hand_hire_source(broker_farm_t *farm);

// Submit an image job. Caller owns the uid (free).
char *broker_submit(broker_farm_t *farm, const uint8_t *idempotency);

// Wait until the hand has begun so many tasks.
void hand_await_runs(const hand_t *hand, int runs);

// Events before the connection stands are not heard: make some until one is.
void broker_await_heard(broker_farm_t *farm, rmt_client_t *listener);

// The next message; NULL when none comes in that time. Caller owns the result.
rmt_msg_t *broker_hear(zsock_t *socket, int timeout_ms);

// Speak to the broker without the library's good manners.
rmt_msg_t *broker_say(zsock_t *socket, rmt_msg_t *msg, rmt_msg_kind_t awaited);

// A socket of this key to a port of the broker. Caller owns the result.
zsock_t *broker_dial(const broker_farm_t *farm, const rmt_key_t *key, rmt_port_t port);

// How often the log of the broker has these words.
size_t broker_count_in_log(const broker_farm_t *farm, const char *words);

// What a script says that runs in the Redis of the farm.
void broker_eval(const broker_farm_t *farm, const char *script, char *answer,
                 size_t size);

// The HELLO of a peer that offers one service, or none (""). Caller owns the result.
rmt_msg_t *broker_hello(const char *role, const char *name, const char *service);

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, broker_farm_open, broker_farm_close)
