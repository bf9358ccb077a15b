// Jobs of a real broker, from the request to the end, though broker, Redis or workers
// die.
#include "integration/broker_farm.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_random.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_signals.h"
#include "state/rmt_limits.h"

// P2 M24: a submit that came twice is one job.
static void
test_an_image_job_runs_once_and_is_told(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_client) listener = broker_client(farm, &farm->admin);
    RMT_OK(rmt_client_subscribe(listener, "", &error));
    broker_await_heard(farm, listener);
    hand_t *imager = hand_hire_imager(farm), *source = hand_hire_source(farm);
    uint8_t idempotency[RMT_UID_SIZE];
    rmt_random_bytes(idempotency, sizeof idempotency);
    rmt_auto_str job = broker_submit(farm, idempotency);
    rmt_auto_str again = broker_submit(farm, idempotency);
    assert_string_equal(job, again);
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    assert_int_equal(imager->runs, 1);
    rmt_auto(rmt_msg) image = broker_need(farm, "image.show", "name=img", "");
    assert_string_equal(rmt_record_text(image->body, "id", ""), IMAGE);
    assert_string_equal(rmt_record_text(image->body, "hardware", ""), "facts");
    rmt_auto_str topic = rmt_text("job/%s/state", job);
    bool is_told = false;
    while (!is_told) {
        rmt_auto(rmt_msg) event = rmt_client_next_event(listener, BROKER_WAIT_MS, &error);
        RMT_OK(event);
        is_told = streq(event->topic, topic) &&
                  streq(rmt_record_text(event->body, "state", ""), "done");
    }
    hand_dismiss(&imager);
    hand_dismiss(&source);
}

// P1, P3: what was taken goes on over the death of the broker, and counts once.
static void
test_a_job_ends_once_though_the_broker_is_killed(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *imager = hand_hire_imager(farm), *source = hand_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = broker_submit(farm, NULL);
    hand_await_runs(source, 1);
    end_program(&farm->broker, SIGKILL);
    source->is_held = 0; // It ends while nobody hears it
    RMT_WAIT_UNTIL(source->ends == 1, BROKER_WAIT_MS);
    broker_start(farm);
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    assert_int_equal(imager->runs, 1);
    hand_dismiss(&imager);
    hand_dismiss(&source);
}

// True when the body of the reply has this value.
static bool
s_is(broker_farm_t *farm, const char *verb, const char *body, const char *name,
     const char *value)
{
    rmt_auto(rmt_msg) reply = broker_need(farm, verb, body, "");
    return streq(rmt_record_text(reply->body, name, ""), value);
}

// [1.27] P1: the result is kept until Redis has it.
static void
test_a_job_ends_though_redis_is_killed(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *imager = hand_hire_imager(farm), *source = hand_hire_source(farm);
    source->is_held = 1;
    rmt_auto_str job = broker_submit(farm, NULL);
    hand_await_runs(source, 1);
    redis_server_end(&farm->redis, SIGKILL);
    source->is_held = 0;
    RMT_WAIT_UNTIL(source->ends == 1, BROKER_WAIT_MS);
    rmt_pause(300, "the result comes to the broker, which cannot record it");
    redis_server_start(&farm->redis);
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    assert_int_equal(source->runs, 1);
    rmt_auto(rmt_msg) status = broker_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(status->body, "era", ""), "1");
    hand_dismiss(&imager);
    hand_dismiss(&source);
}

// [1.70] P25: in Redis all peers are as old as its absence was long, until the broker
// tells it.
static void
test_peers_are_present_at_once_when_redis_is_back(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *source = hand_hire_source(farm);
    RMT_WAIT_UNTIL(s_is(farm, "source.show", "name=web", "present", "yes"),
                   BROKER_WAIT_MS);
    redis_server_end(&farm->redis, SIGKILL);
    rmt_pause(RMT_PRESENT_MS + 1000, "Redis is away for longer than a peer is present");
    redis_server_start(&farm->redis);
    RMT_WAIT_UNTIL(broker_count_in_log(farm, "event=broker.open") == 2, BROKER_WAIT_MS);
    assert_true(s_is(farm, "source.show", "name=web", "present", "yes"));
    assert_int_equal(broker_count_in_log(farm, "event=peer.hello role=source"), 1);
    hand_dismiss(&source);
}

static void
test_a_redis_that_lost_its_past_raises_the_era(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) before = broker_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(before->body, "era", ""), "1");
    redis_server_end(&farm->redis, SIGKILL);
    rmt_auto_str past = rmt_text("%s/appendonlydir", farm->redis.dir);
    RMT_OK(rmt_io_remove_tree(past, &error));
    redis_server_start(&farm->redis);
    rmt_auto(rmt_msg) after = broker_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(after->body, "era", ""), "2");
    end_program(&farm->broker, SIGKILL);
    broker_start(farm);
    rmt_auto(rmt_msg) again = broker_need(farm, "farm.status", "", "");
    assert_string_equal(rmt_record_text(again->body, "era", ""), "2");
}

// A Redis that answers and cannot be opened is not waited for in silence.
static void
test_a_redis_that_does_not_tell_its_era_is_told(void **state)
{
    broker_farm_t *farm = *state;
    char answer[64];
    rmt_auto(rmt_msg) before = broker_need(farm, "farm.status", "", "");
    end_program(&farm->broker, SIGKILL);
    broker_eval(farm,
                "redis.call('DEL', 'ramet:era') "
                "return redis.call('LPUSH', 'ramet:era', 'x')",
                answer, sizeof answer);
    broker_start(farm);
    RMT_WAIT_UNTIL(broker_count_in_log(farm, "event=era.unread") > 0, BROKER_WAIT_MS);
}

static uint64_t
s_lines_in_files(broker_farm_t *farm)
{
    rmt_auto(rmt_msg) heads = broker_need(farm, "audit.heads", "", "");
    return rmt_records_count(heads->items)
               ? rmt_record_u64(rmt_records_at(heads->items, 0), "n", 0)
               : 0;
}

// P24: the folder of the audit files goes while the broker runs: that is told, and stops
// neither requests nor the end.
static void
test_a_broker_ends_in_order_without_its_audit_folder(void **state)
{
    broker_farm_t *farm = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_msg) added = broker_need(farm, "source.add", "name=web place=hq", "");
    RMT_WAIT_UNTIL(s_lines_in_files(farm) > 1, BROKER_WAIT_MS);
    rmt_auto_str folder = rmt_text("%s/broker.state.audit", farm->redis.dir);
    rmt_auto_str away = rmt_text("%s.away", folder);
    rmt_auto_str file = rmt_text("%s/audit-0000000000000001.jsonl", away);
    assert_int_equal(rename(folder, away), 0);
    assert_int_equal(truncate(file, 0), 0);
    RMT_OK(rmt_io_save(folder, "", 0, 0600, &error));
    rmt_auto(rmt_msg) other = broker_need(farm, "source.add", "name=db place=hq", "");
    RMT_WAIT_UNTIL(broker_count_in_log(farm, "event=audit.unwritten") > 0,
                   BROKER_WAIT_MS);
    rmt_auto(rmt_msg) third = broker_need(farm, "source.add", "name=dns place=hq", "");
    // The fixture ends the broker, and sees its status.
}

static void
test_a_worker_that_leaves_gives_its_task_to_another(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *imager = hand_hire_imager(farm), *source = hand_hire_source(farm);
    imager->is_held = 1;
    rmt_auto_str job = broker_submit(farm, NULL);
    hand_await_runs(imager, 1);
    hand_dismiss(&imager);
    const rmt_key_t key = broker_enrol(farm, "imager", "imager-2", "hq");
    const rmt_service_t services[] = {{"commit@hq", 1, hand_run_commit}};
    hand_t *other = hand_hire(farm, "imager", "imager-2", &key, services, 1);
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    assert_int_equal(other->runs, 1);
    hand_dismiss(&other);
    hand_dismiss(&source);
}

// M26: a broker hears of tasks that another one has put; its own look for them is 9 s
// away.
static void
test_a_task_reaches_a_worker_of_another_broker_at_once(void **state)
{
    broker_farm_t *farm = *state;
    const uint16_t first = farm->port;
    hand_t *imager = hand_hire_imager(farm);
    farm->port = broker_free_ports();
    broker_configure(farm, "second", 10000);
    pid_t second = broker_spawn(farm, "second");
    hand_t *source = hand_hire_source(farm);
    farm->port = first;
    RMT_WAIT_UNTIL(s_is(farm, "source.show", "name=web", "present", "yes"),
                   BROKER_WAIT_MS);
    rmt_pause(300, "its credit follows its HELLO, and no verb shows it");
    const int64_t start = rmt_clock_ms();
    rmt_auto_str job = broker_submit(farm, NULL);
    hand_await_runs(source, 1);
    assert_true(rmt_clock_ms() - start < 5000);
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    hand_dismiss(&imager);
    hand_dismiss(&source);
    const int status = end_program(&second, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_a_job_without_a_worker_says_so(void **state)
{
    broker_farm_t *farm = *state;
    hand_t *imager = hand_hire_imager(farm);
    rmt_auto(rmt_msg) added = broker_need(farm, "source.add", "name=web place=hq", "");
    rmt_auto_str job = broker_submit(farm, NULL);
    rmt_auto_str want = rmt_text("job=%s", job);
    const char *text = "waiting for source web, which is absent: "
                       "no worker offers capture@source/web; start the machine and its "
                       "agent, and see: ramet source show web";
    RMT_WAIT_UNTIL(s_is(farm, "job.show", want, "stuck", text), BROKER_WAIT_MS);
    hand_dismiss(&imager);
}

// The verbs of an agent's port, and one of the console's.
static void
s_assert_ticket_allows_no_more(zsock_t *socket)
{
    static const char *const verbs[] = {"holders",      "target.page", "finding.put",
                                        "image.placed", "verdict.put", "target.list"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
        rmt_msg_text(&request->verb, verbs[i]);
        rmt_auto(rmt_msg) reply = broker_say(socket, request, RMT_MSG_REPLY);
        assert_int_equal(reply->code, RMT_E_NOT_ALLOWED);
    }
}

static void
s_confirm(broker_farm_t *farm, const rmt_key_t *key, const char *target)
{
    rmt_auto(zsock) socket = broker_dial(farm, key, RMT_PORT_AGENTS);
    rmt_auto(rmt_msg) hello = broker_hello("firstboot", target, "");
    rmt_auto(rmt_msg) welcome = broker_say(socket, hello, RMT_MSG_WELCOME);
    s_assert_ticket_allows_no_more(socket);
    rmt_auto(rmt_msg) request = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&request->verb, "target.confirm");
    rmt_record_set(rmt_msg_body(request), "image", IMAGE);
    rmt_record_set(rmt_msg_body(request), "boot", "b1");
    rmt_auto(rmt_msg) reply = broker_say(socket, request, RMT_MSG_REPLY);
    assert_int_equal(reply->code, RMT_E_OK);
}

// True when the job's first target is in this phase.
static bool
s_is_in_phase(broker_farm_t *farm, const char *job, const char *phase)
{
    rmt_auto(rmt_msg) show = broker_need(farm, "job.show", job, "");
    return streq(rmt_record_text(rmt_records_at(show->items, 0), "phase", ""), phase);
}

// The state file as it is when the GO comes is kept.
static int
s_run_write(rmt_task_t *task, void *context, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/broker.state", ((hand_t *) context)->folder);
    rmt_auto_str kept = rmt_text("%s/kept.state", ((hand_t *) context)->folder);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_io_load(path, 4096, &data, &size, error) == -1 ||
        rmt_io_save(kept, data, size, 0600, error) == -1)
        return -1;
    return hand_run_write(task, context, error);
}

// A Redis that loses the GO is found out, for its entry was in the file before.
static void
s_assert_go_was_saved(const broker_farm_t *farm)
{
    char taken[64];
    broker_eval(
        farm,
        "for _, e in ipairs(redis.call('XRANGE', 'ramet:audit', '-', '+')) do "
        "local t = table.concat(e[2], ' ') if string.find(t, 'task.taken', 1, true) "
        "and string.find(t, 'write@target/t1', 1, true) then return e[1] end end",
        taken, sizeof taken);
    rmt_error_t error = {0};
    rmt_auto_str kept = rmt_text("%s/kept.state", farm->redis.dir);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(kept, 4096, &data, &size, &error));
    const char *saved = strstr(data, "audit = \"");
    assert_non_null(saved);
    uint64_t ms[2] = {0}, n[2] = {0};
    assert_int_equal(sscanf(saved, "audit = \"%" SCNu64 "-%" SCNu64, &ms[0], &n[0]), 2);
    assert_int_equal(
        sscanf(taken + strspn(taken, "\""), "%" SCNu64 "-%" SCNu64, &ms[1], &n[1]), 2);
    assert_true(ms[0] > ms[1] || (ms[0] == ms[1] && n[0] >= n[1]));
}

// All that a deployment of "img" to t1 needs. Once the target is hired no task comes to
// it before the next request.
typedef struct {
    hand_t *imager, *source, *installer, *target;
    rmt_key_t first; // What prepare hands out
} crew_t;

static void
s_hire(broker_farm_t *farm, crew_t *crew)
{
    rmt_error_t error = {0};
    crew->imager = hand_hire_imager(farm);
    crew->source = hand_hire_source(farm);
    rmt_auto_str image_job = broker_submit(farm, NULL);
    rmt_auto(rmt_msg) image = broker_await_job(farm, image_job, "done");
    const rmt_key_t installer_key = broker_enrol(farm, "installer", "installer-1", "lab");
    static const rmt_service_t installs[] = {{"match@lab", 1, hand_run_match},
                                             {"build@lab", 1, hand_run_plain},
                                             {"order@lab", 2, hand_run_order},
                                             {"netboot@lab", 1, hand_run_netboot}};
    crew->installer =
        hand_hire(farm, "installer", "installer-1", &installer_key, installs, 4);
    const rmt_key_t target_key = broker_enrol(farm, "target", "t1", "lab");
    static const rmt_service_t writes[] = {{"prepare@target/t1", 1, hand_run_prepare},
                                           {"write@target/t1", 1, s_run_write},
                                           {"reboot@target/t1", 1, hand_run_plain}};
    RMT_OK(rmt_key_new(&crew->first, &error));
    crew->target = hand_hire(farm, "target", "t1", &target_key, writes, 3);
    crew->target->first_key = crew->first.public_text;
}

static void
s_dismiss(crew_t *crew)
{
    hand_t **hands[] = {&crew->imager, &crew->source, &crew->installer, &crew->target};
    for (size_t i = 0; i < sizeof hands / sizeof *hands; i++)
        hand_dismiss(hands[i]);
}

// [4.1] M11 M25: the key of the first boot ends it, and can do nothing else.
// [1.63] P6: the GO is in the state file before it comes.
static void
test_a_deployment_goes_from_matching_to_the_first_boot(void **state)
{
    broker_farm_t *farm = *state;
    crew_t crew;
    s_hire(farm, &crew);
    rmt_auto(rmt_msg) plan =
        broker_need(farm, "deploy.plan", "image=img engines=lab", "");
    rmt_auto(rmt_msg) planned =
        broker_await_job(farm, rmt_record_text(plan->body, "job", ""), "done");
    rmt_auto(rmt_msg) start = broker_need(
        farm, "deploy.start", "image=img engines=lab when-booted=yes", "target=t1");
    rmt_auto_str job = strdup(rmt_record_text(start->body, "job", ""));
    hand_await_runs(crew.target, 3);
    s_assert_go_was_saved(farm);
    rmt_auto_str want = rmt_text("job=%s", job);
    RMT_WAIT_UNTIL(s_is_in_phase(farm, want, "awaiting-first-boot"), BROKER_WAIT_MS);
    rmt_auto(rmt_msg) lock = broker_need(farm, "lock.show", "target=t1", "");
    assert_string_equal(rmt_record_text(lock->body, "armed", ""), "yes");
    s_confirm(farm, &crew.first, "t1");
    rmt_auto(rmt_msg) done = broker_await_job(farm, job, "done");
    rmt_auto(rmt_msg) locks = broker_need(farm, "lock.list", "", "");
    assert_int_equal(rmt_records_count(locks->items), 0);
    s_dismiss(&crew);
}

#define SLOW_MS 1500

// Each fsync of the broker takes so long from now on.
static void
s_set_slow(const broker_farm_t *farm, unsigned ms)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/slow", farm->redis.dir);
    rmt_auto_str text = rmt_text("%u", ms);
    RMT_OK(rmt_io_save(path, text, strlen(text), 0600, &error));
}

// The broker again, on a disk that can be made slow.
static void
s_start_slow(broker_farm_t *farm)
{
    rmt_auto_str library = rmt_text("%s/../tests/slow_sync.so", getenv("RAMET_BIN"));
    rmt_auto_str path = rmt_text("%s/slow", farm->redis.dir);
    s_set_slow(farm, 0);
    end_program(&farm->broker, SIGKILL);
    // AddressSanitizer refuses to come behind another library.
    const char *given = getenv("ASAN_OPTIONS");
    rmt_auto_str had = rmt_text("%s", given ? given : "");
    rmt_auto_str options = rmt_text("%s:verify_asan_link_order=0", had);
    setenv("ASAN_OPTIONS", options, 1);
    setenv("LD_PRELOAD", library, 1);
    setenv("RAMET_SLOW_SYNC", path, 1);
    broker_start(farm);
    setenv("ASAN_OPTIONS", had, 1);
    unsetenv("LD_PRELOAD");
    unsetenv("RAMET_SLOW_SYNC");
}

// [1.63] P5 P6: an ARM and a GO wait for the state file, and nothing else does.
static void
test_a_slow_disk_of_the_state_file_stops_no_answer(void **state)
{
    broker_farm_t *farm = *state;
    crew_t crew;
    s_start_slow(farm);
    s_hire(farm, &crew);
    RMT_WAIT_UNTIL(broker_count_in_log(farm, "event=peer.hello role=target") == 1,
                   BROKER_WAIT_MS);
    const size_t greetings = broker_count_in_log(farm, "event=peer.hello");
    rmt_auto(rmt_msg) start = broker_need(
        farm, "deploy.start", "image=img engines=lab when-booted=yes", "target=t1");
    s_set_slow(farm, SLOW_MS);
    rmt_auto_str want = rmt_text("job=%s", rmt_record_text(start->body, "job", ""));
    const int64_t begin = rmt_clock_ms();
    int64_t slowest = 0;
    for (bool is_there = false; !is_there;) {
        const int64_t asked = rmt_clock_ms();
        is_there = s_is_in_phase(farm, want, "awaiting-first-boot");
        const int64_t took = rmt_clock_ms() - asked;
        slowest = took > slowest ? took : slowest;
        assert_true(asked - begin < 20 * SLOW_MS);
        rmt_wait_turn();
    }
    // For the ARM and for the GO, of the file and of its folder.
    assert_true(rmt_clock_ms() - begin >= 4 * SLOW_MS);
    assert_in_range(slowest, 0, SLOW_MS - 1);
    assert_int_equal(broker_count_in_log(farm, "event=peer.hello"), greetings);
    s_assert_go_was_saved(farm);
    s_set_slow(farm, 0);
    s_dismiss(&crew);
}

int
main(void)
{
    rmt_signals_block();
    const struct CMUnitTest tests[] = {
        CASE(test_an_image_job_runs_once_and_is_told),
        CASE(test_a_job_ends_once_though_the_broker_is_killed),
        CASE(test_a_job_ends_though_redis_is_killed),
        CASE(test_peers_are_present_at_once_when_redis_is_back),
        CASE(test_a_redis_that_lost_its_past_raises_the_era),
        CASE(test_a_redis_that_does_not_tell_its_era_is_told),
        CASE(test_a_broker_ends_in_order_without_its_audit_folder),
        CASE(test_a_worker_that_leaves_gives_its_task_to_another),
        CASE(test_a_task_reaches_a_worker_of_another_broker_at_once),
        CASE(test_a_job_without_a_worker_says_so),
        CASE(test_a_deployment_goes_from_matching_to_the_first_boot),
        CASE(test_a_slow_disk_of_the_state_file_stops_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
