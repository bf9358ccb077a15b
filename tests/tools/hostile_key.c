#include "tools/hostile_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "net/rmt_enrol.h"

void
hostile_must(int result, const rmt_error_t *error)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, error->text);
    exit(EXIT_FAILURE);
}

void
hostile_enrol(const hostile_key_t *wanted, rmt_key_t *key_out)
{
    char uuid[RMT_RANDOM_UUID_SIZE];
    rmt_error_t error = {0};
    const char *const brokers[] = {wanted->broker, NULL};
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_record) answer = NULL;
    rmt_record_set(body, "role", wanted->role);
    rmt_record_set(body, "name", wanted->name);
    rmt_record_setf(body, "identity", "uuid:%s", rmt_random_uuid(uuid));
    if (*wanted->place)
        rmt_record_set(body, "place", wanted->place);
    hostile_must(rmt_key_new(key_out, &error), &error);
    const rmt_enrol_config_t config = {.brokers = brokers,
                                       .broker_key = wanted->broker_key,
                                       .own = key_out,
                                       .token = wanted->token,
                                       .body = body,
                                       .timeout_ms = 30000};
    hostile_must(rmt_enrol(&config, &answer, &error), &error);
}
