// The Redis of the simulation answers as a real one does.
#include "integration/state_farm.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "sim/sim_redis.h"
#include "state/rmt_library.h"
#include "tools/rmt_test.h"

#define SEEDS 60
#define COMMANDS "800"

// Caller owns the result.
static char *
s_read_commands(void)
{
    rmt_auto_str path = rmt_text("%s/tests/sim/commands.lua", getenv("RAMET_SOURCE"));
    rmt_auto(zchunk) content = zchunk_slurp(path, 1 << 20);
    assert_non_null(content);
    return zchunk_strdup(content);
}

static int
s_setup(void **state)
{
    state_farm_setup(state);
    state_farm_t *farm = *state;
    OK("era_open", "", "", ""); // From here on the library is loaded
    rmt_auto_str more = s_read_commands();
    rmt_auto_str library =
        rmt_text("%.*s\n%s", (int) rmt_state_library_size, rmt_state_library, more);
    redis_server_load(&farm->redis, library, strlen(library));
    return 0;
}

// Say the first line that differs.
static void
s_compare(int seed, const char *real, const char *played)
{
    if (streq(real, played))
        return;
    size_t line = 0;
    for (size_t i = 0; real[i] && real[i] == played[i]; i++)
        line = real[i] == '\n' ? i + 1 : line;
    fail_msg("seed %d: Redis: %.*s\nthe simulation: %.*s", seed,
             (int) strcspn(real + line, "\n"), real + line,
             (int) strcspn(played + line, "\n"), played + line);
}

static void
test_commands_by_chance_have_the_same_answers(void **state)
{
    state_farm_t *farm = *state;
    rmt_auto_str more = s_read_commands();
    rmt_auto(sim_redis) played = sim_redis_new(more, NULL);
    for (int seed = 1; seed <= SEEDS; seed++) {
        rmt_auto_str text = rmt_text("seed=%d count=" COMMANDS, seed);
        OK("test_commands", "", text, "");
        rmt_auto(rmt_record) body = rmt_record_new();
        rmt_record_set_u64(body, "seed", (uint64_t) seed);
        rmt_record_set(body, "count", COMMANDS);
        const rmt_call_t call = {.function = "test_commands", .body = body};
        rmt_auto(rmt_msg) reply = sim_redis_call(played, rmt_clock_wall_ms(), &call);
        if (reply->code != RMT_E_OK)
            fail_msg("seed %d: %s", seed, reply->text);
        s_compare(seed, state_farm_body(farm, "text"),
                  rmt_record_text(reply->body, "text", ""));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commands_by_chance_have_the_same_answers,
                                        s_setup, state_farm_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
