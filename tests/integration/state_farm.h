// state_farm - the function library in a real Redis of its own, called as the broker
// does.
#pragma once

#include "integration/redis_server.h"
#include "state/rmt_state.h"

typedef struct {
    redis_server_t redis;
    rmt_state_t *state;
    rmt_msg_t *reply; // Of the last call
    bool is_answered;
    char ready[128]; // The service that a task was last put for
} state_farm_t;

#define UID1 "00000000000000000000000000000001"
#define UID2 "00000000000000000000000000000002"
#define UID3 "00000000000000000000000000000003"
#define UID4 "00000000000000000000000000000004"
#define IMAGE "01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DEPLOY "dddddddddddddddddddddddddddddddd"

// Of cmocka: a farm for each test.
int state_farm_setup(void **state);
int state_farm_teardown(void **state);

// Call a function with records as text: "name=value name=value", where "_" in a value is
// a blank; items are such records parted by "|". Returns the code. A fault inside the
// library fails the test.
rmt_code_t state_farm_call(state_farm_t *farm, const char *function, const char *meta,
                           const char *body, const char *items);

#define OK(function, meta, body, items)                                                  \
    do {                                                                                 \
        if (state_farm_call(farm, function, meta, body, items) != RMT_E_OK)              \
            fail_msg("%s: %s", function, farm->reply->text);                             \
    } while (0)
#define REFUSED(code, function, meta, body, items)                                       \
    assert_int_equal(state_farm_call(farm, function, meta, body, items), code)
#define STATE_WAIT_MS 8000
#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, state_farm_setup, state_farm_teardown)

// Of the last reply: a field of its body, how many items it has, a field of one.
const char *state_farm_body(const state_farm_t *farm, const char *name);
size_t state_farm_count(const state_farm_t *farm);
const char *state_farm_item(const state_farm_t *farm, size_t index, const char *name);

// Ask what is due. True when the scan counts exactly one of this kind ("late", "stuck",
// "boots").
bool state_farm_is_due(state_farm_t *farm, const char *body, const char *kind);

// Count the farm's clock from here on, as a broker does from its first scan on.
void state_farm_hear_clock(state_farm_t *farm);

// Source web and its image img, whose id is IMAGE, made by job UID1.
void state_farm_add_image(state_farm_t *farm);
// The job DEPLOY of img over t1 and t2 of engine lab, with verdicts; t1 is present.
void state_farm_begin_deploy(state_farm_t *farm, const char *options);

// What follows when all engines have answered.
#define LOCK "op=job event=begin set.stage=locked|op=lock|op=drive"
#define PREPARE "0000000000000000000000000000000a"
#define WRITE "0000000000000000000000000000000b"
#define FIRSTKEY "firstboot-key"
#define SECONDKEY "firstboot-key-2"

// A field of the target at index of the job, as job_show tells it.
const char *state_farm_target(state_farm_t *farm, const char *job, size_t index,
                              const char *name);
// The job DEPLOY, with t1 locked and its task PREPARE in the hands of its agent a1.
void state_farm_begin_prepare(state_farm_t *farm);
// The same with t1 armed at the nonce n1, and its task WRITE in the queue.
void state_farm_arm(state_farm_t *farm);
