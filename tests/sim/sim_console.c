#include "sim/sim_console.h"

#include <string.h>
#include "base/rmt_auto.h"
#include "sim/sim_check.h"
#include "sim/sim_farm.h"
#include "sim/sim_net.h"
#include "sim/sim_state.h"

#define AGAIN (5 * SIM_S)
#define AMBUSH (40 * SIM_S)
#define PAUSE_MS 700
#define IMAGES_MAX 4
#define JOBS_MAX 16

typedef enum {
    STAGE_IMAGE,
    STAGE_IMAGE_RUNS,
    STAGE_DEPLOY,
    STAGE_HURDLES,
    STAGE_END
} stage_t;

static struct {
    zsock_t *socket;
    size_t broker;
    rmt_msg_t *order; // Without an answer; NULL: none
    int64_t sent_at;
    uint64_t sequence;
    stage_t stage;
    unsigned images, hurdles;
    char jobs[JOBS_MAX][33]; // That were acknowledged
    size_t job_count;
    int64_t idle_until;
    int64_t ambush_until; // It waits for a writer, to cancel its job and take over
    bool takes_over;      // With the next order
} s_console;

static void
s_dial(void)
{
    rmt_error_t error = {0};
    rmt_key_t own = {0};
    char address[64];
    snprintf(own.public_text, sizeof own.public_text, "%s", sim_farm_admin_key());
    sim_farm_console_address(s_console.broker, address);
    s_console.socket =
        rmt_socket_new(RMT_SOCKET_CONSOLE_CLIENT, address, &own, own.public_text, &error);
}

static void
s_hang_up(void)
{
    if (s_console.socket)
        zsock_destroy(&s_console.socket);
}

static void
s_send(void)
{
    rmt_error_t error = {0};
    s_console.order->sequence = ++s_console.sequence;
    s_console.sent_at = sim_now();
    (void) rmt_socket_send(s_console.socket, NULL, s_console.order, false, &error);
}

static bool
s_makes_job(const char *verb)
{
    static const char *const verbs[] = {"image.create", "deploy.start", "deploy.plan",
                                        "job.retry"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (streq(verbs[i], verb))
            return true;
    return false;
}

// Caller fills body and items, and sends it.
static rmt_msg_t *
s_order(const char *verb)
{
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_REQUEST);
    rmt_msg_text(&msg->verb, verb);
    for (size_t i = 0; i < RMT_UID_SIZE; i++)
        msg->idempotency[i] = (uint8_t) sim_random();
    (void) rmt_msg_body(msg);
    (void) rmt_msg_items(msg);
    s_console.order = msg;
    if (s_makes_job(verb))
        sim_check_ordered();
    return msg;
}

static void
s_add_targets(rmt_msg_t *msg, unsigned permille)
{
    static const char *const names[SIM_TARGETS] = {"t1", "t2", "t3"};
    for (size_t i = 0; i < SIM_TARGETS; i++)
        if (sim_chance(permille))
            rmt_record_set(rmt_records_add(msg->items), "target", names[i]);
}

static void
s_order_image(void)
{
    rmt_msg_t *msg = s_order("image.create");
    rmt_record_set(msg->body, "source", "web");
    rmt_record_setf(msg->body, "name", "img%u", ++s_console.images);
    s_send();
}

static void
s_order_deploy(bool is_take_over)
{
    rmt_msg_t *msg = s_order("deploy.start");
    rmt_record_setf(msg->body, "image", "img%u", s_console.images);
    rmt_record_set(msg->body, "when-booted", "yes");
    rmt_record_set(msg->body, "partial", "yes");
    if (sim_chance(400))
        rmt_record_set(msg->body, "wake", "yes");
    if (sim_chance(200))
        rmt_record_set_u64(msg->body, "after-s", (uint64_t) sim_between(1, 40));
    // The shorter one ends before most first boots have reported.
    rmt_record_set(msg->body, "boot-timeout-s", sim_chance(250) ? "10" : "150");
    if (is_take_over)
        rmt_record_set(msg->body, "take-over", "yes");
    if (sim_chance(300))
        rmt_record_set(msg->body, "canary", "1");
    if (sim_chance(200))
        rmt_record_set(msg->body, "max-failures", "1");
    s_add_targets(msg, 800);
    s_send();
}

static const char *
s_some_job(void)
{
    return s_console.job_count > 0 ? s_console.jobs[sim_random() % s_console.job_count]
                                   : "";
}

// The whole job is cancelled when a target of it is written.
static void
s_ambush(void)
{
    if (sim_now() < s_console.ambush_until && !sim_check_is("armed"))
        return;
    rmt_msg_t *msg = s_order("job.cancel");
    rmt_record_set(msg->body, "job", s_console.jobs[s_console.job_count - 1]);
    s_send();
}

static void
s_order_hurdle(void)
{
    static const char *const verbs[] = {"job.cancel", "job.cancel",    "job.retry",
                                        "lock.break", "target.unhold", "deploy.plan"};
    const char *verb = verbs[sim_random() % (sizeof verbs / sizeof *verbs)];
    rmt_msg_t *msg = s_order(verb);
    rmt_record_set(msg->body, "job", s_some_job());
    rmt_record_setf(msg->body, "target", "t%d", (int) sim_between(1, SIM_TARGETS));
    if (streq(verb, "lock.break"))
        rmt_record_set(msg->body, "reason", "chance");
    if (streq(verb, "deploy.plan")) {
        rmt_record_remove(msg->body, "target");
        rmt_record_set(msg->body, "engines", "lab,lab2");
        rmt_record_setf(msg->body, "image", "img%u", s_console.images);
    }
    if (streq(verb, "job.cancel") && sim_chance(700))
        s_add_targets(msg, 500);
    s_send();
}

// ---- Answers

static void
s_note_job(const char *job)
{
    if (!*job)
        return;
    sim_check_acknowledged(job, s_console.sent_at);
    if (s_console.job_count < JOBS_MAX)
        snprintf(s_console.jobs[s_console.job_count++], sizeof s_console.jobs[0], "%s",
                 job);
}

// The machines of what was cancelled hear nothing of it yet, but are still present, when
// they are taken over: a writer may live.
static void
s_take_over_writers(void)
{
    s_console.takes_over = true;
    s_console.hurdles++;
    s_console.idle_until = sim_now();
    for (size_t i = SIM_NODES - SIM_TARGETS; i < SIM_NODES; i++)
        sim_net_block(sim_farm_node(i), sim_between(6 * SIM_S, 14 * SIM_S));
}

static void
s_take_reply(const rmt_msg_t *reply)
{
    rmt_auto(rmt_msg) order = rmt_take(&s_console.order);
    if (reply->code == RMT_E_OK && streq(order->verb, "image.create"))
        s_console.stage = STAGE_IMAGE_RUNS;
    if (reply->code == RMT_E_OK && streq(order->verb, "deploy.start"))
        s_console.stage = STAGE_HURDLES;
    if (reply->code == RMT_E_NOT_FOUND && streq(order->verb, "deploy.start"))
        s_console.stage = STAGE_IMAGE; // It went away with what Redis lost
    if (reply->code == RMT_E_OK)
        s_note_job(rmt_record_text(reply->body, "job", ""));
    s_console.idle_until = sim_now() + sim_between(SIM_S / 2, 15 * SIM_S);
    const bool is_cancelled = streq(order->verb, "job.cancel");
    if (is_cancelled && reply->code == RMT_E_OK &&
        (s_console.ambush_until > 0 || sim_chance(500)))
        s_take_over_writers();
    if (is_cancelled)
        s_console.ambush_until = 0;
}

static void
s_recv(void)
{
    rmt_packet_t packet = {0};
    rmt_error_t error = {0};
    while (s_console.socket && rmt_socket_recv(s_console.socket, &packet, &error) == 1)
        if (packet.msg->kind == RMT_MSG_REPLY && s_console.order &&
            packet.msg->sequence == s_console.sequence &&
            packet.msg->code != RMT_E_UNAVAILABLE)
            s_take_reply(packet.msg);
    rmt_packet_clear(&packet);
}

// The state of the last job; "" when there is none.
static void
s_job_state(char out[16])
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job",
                   s_console.job_count ? s_console.jobs[s_console.job_count - 1] : "");
    const rmt_call_t call = {.function = "job_show", .body = body};
    rmt_auto(rmt_msg) reply = sim_state_ask(&call);
    snprintf(out, 16, "%s", rmt_record_text(reply->body, "state", ""));
}

static void
s_await_image(void)
{
    char state[16];
    s_job_state(state);
    if (streq(state, "done"))
        s_console.stage = STAGE_DEPLOY;
    else if (!streq(state, "queued") && !streq(state, "running"))
        s_console.stage = s_console.images < IMAGES_MAX ? STAGE_IMAGE : STAGE_END;
}

static void
s_go_on(void)
{
    if (s_console.ambush_until > 0) {
        s_ambush();
    } else if (s_console.hurdles == 0) {
        s_console.stage = STAGE_END;
    } else {
        s_console.hurdles--;
        const bool takes_over = s_console.takes_over || sim_chance(300);
        s_console.takes_over = false;
        if (takes_over)
            s_order_deploy(true);
        else if (s_console.job_count > 0 && sim_chance(200))
            s_console.ambush_until = sim_now() + AMBUSH;
        else
            s_order_hurdle();
    }
}

static void
s_order_next(void)
{
    switch (s_console.stage) {
    case STAGE_IMAGE:
        s_order_image();
        break;
    case STAGE_IMAGE_RUNS:
        s_await_image();
        break;
    case STAGE_DEPLOY:
        s_order_deploy(false);
        break;
    case STAGE_HURDLES:
        s_go_on();
        break;
    case STAGE_END:
        break;
    }
}

// ---- The process

static void
s_on_start(sim_process_t *process)
{
    (void) process;
    s_dial();
}

static void
s_on_end(sim_process_t *process)
{
    (void) process;
    s_hang_up();
    rmt_msg_destroy(&s_console.order);
}

static long
s_on_turn(sim_process_t *process)
{
    (void) process;
    s_recv();
    if (s_console.order && sim_now() - s_console.sent_at > AGAIN) {
        s_hang_up();
        s_console.broker = (s_console.broker + 1) % SIM_BROKERS;
        s_dial();
        s_send();
    } else if (!s_console.order && sim_now() >= s_console.idle_until) {
        s_order_next();
    }
    return PAUSE_MS;
}

void
sim_console_begin(unsigned hurdles)
{
    memset(&s_console, 0, sizeof s_console);
    s_console.hurdles = hurdles;
    s_console.idle_until = SIM_S;
    sim_process_start(sim_process_new("console", s_on_turn, s_on_start, s_on_end, NULL));
}

const char *
sim_console_words(void)
{
    static const char *const stages[] = {[STAGE_IMAGE] = "it orders an image",
                                         [STAGE_IMAGE_RUNS] = "it awaits an image",
                                         [STAGE_DEPLOY] = "it orders an install",
                                         [STAGE_HURDLES] = "it has changes left",
                                         [STAGE_END] = "its last order has no answer"};
    return stages[s_console.stage];
}

bool
sim_console_is_done(void)
{
    return s_console.stage == STAGE_END && !s_console.order;
}
