// What is kept of the passphrases that were made for a target.
#include <stdlib.h>
#include <string.h>
#include "tools/rmt_test.h"

#include "integration/state_farm.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

// What admins are given of t1; "" for none.
static void
s_has_secrets(state_farm_t *farm, const char *now, const char *before)
{
    if (!*now && !*before) {
        REFUSED(RMT_E_NOT_FOUND, "target_secret", "", "name=t1", "");
        return;
    }
    OK("target_secret", "", "name=t1", "");
    assert_string_equal(state_farm_body(farm, "secret"), now);
    assert_string_equal(state_farm_body(farm, "secret-before"), before);
}

// The order for t1 is there: it is armed with this passphrase, and its write begins.
static void
s_arm_with(state_farm_t *farm, int attempt, const char *secret)
{
    rmt_auto_str told = rmt_text("return redis.call('HSET', 'ramet:task:" PREPARE
                                 "', 'b.told-secret', '%s')",
                                 secret);
    free(redis_server_eval(&farm->redis, told));
    OK("task_take", "by=a1", "service=prepare@target/t1 nonce=n1 n=1", "");
    rmt_auto_str step =
        rmt_text("job=" DEPLOY " rev=%d task=" PREPARE " attempt=%d worker=a1 code=0",
                 1 + 2 * attempt, attempt);
    OK("job_step", "", step,
       "op=arm target=t1 task=" PREPARE " plan=q nonce=n1 key=" SECONDKEY
       "|op=task task=" WRITE " service=write@target/t1 stage=write subject=t1"
       " again=yes attempts=99 b.plan=q b.nonce=n1");
    OK("task_take", "by=a1", "service=write@target/t1 nonce=n1 n=1", "");
}

// M33: armed is not written; an agent that refuses the GO leaves the disk as it was.
static void
test_m33_the_passphrase_of_before_stays_until_the_disk_is_written(void **state)
{
    state_farm_t *farm = *state;
    static const struct {
        const char *secret; // "" of an image without encryption
        const char *before; // While it is armed
        bool is_written;
    } rows[] = {{"A", "", true},  {"B", "A", false}, {"B", "A", false}, {"C", "A", false},
                {"C", "A", true}, {"", "C", false},  {"D", "C", true},  {"", "D", true}};
    state_farm_begin_deploy(farm, "partial=yes");
    OK("job_step", "", "job=" DEPLOY " rev=1", LOCK);
    OK("job_step", "", "job=" DEPLOY " rev=2",
       "op=job set.stage=install|op=target target=t1 event=begin|op=task task=" PREPARE
       " service=prepare@target/t1 stage=prepare subject=t1");
    for (int i = 0; i < (int) (sizeof rows / sizeof *rows); i++) {
        s_arm_with(farm, i + 1, rows[i].secret);
        s_has_secrets(farm, rows[i].secret, rows[i].before);
        rmt_auto_str step =
            rmt_text("job=" DEPLOY " rev=%d task=" WRITE " attempt=%d worker=a1 code=%d",
                     4 + 2 * i, i + 1, rows[i].is_written ? 0 : 7);
        OK("job_step", "", step,
           "op=task task=" PREPARE " service=prepare@target/t1 stage=prepare subject=t1"
           " again=yes attempts=99");
        s_has_secrets(farm, rows[i].secret, rows[i].is_written ? "" : rows[i].before);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_m33_the_passphrase_of_before_stays_until_the_disk_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
