#include "agent/install/supply.h"
#include "base/rmt_auto.h"
#include "exchange/rmt_intake.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <assert.h>
#include <time.h>

// Longer than a broker waits for a silent machine: a disk that is half written is of no
// use, so a link that is cut gets all the time that the job has.
#define GIVE_UP_MS 1200000
#define PAUSE_MS 1000

struct rmt_supply {
    rmt_task_t *task;
    const rmt_key_t *own;
    char *place;
    char image_text[RMT_ID_TEXT_SIZE];
    const rmt_id_t *image;
    rmt_fetch_t *contents, *manifests; // Apart, so that reading ahead is not disturbed
    int64_t good_ms;                   // When something last came
    rmt_relays_t *relays;              // Or NULL
    rmt_intake_t *intake;              // Of contents
};

// The job shows what its target waits for.
static void
s_tell(const rmt_supply_t *self, const rmt_error_t *error)
{
    rmt_log(RMT_WARN, "supply.lost", "place=%s error=\"%s\"", self->place, error->text);
    rmt_auto_str text =
        rmt_text("waits for a holder of the image: %s; see: ramet doctor", error->text);
    rmt_task_waits(self->task, text);
}

// What is expected stays when the holders change.
static int
s_have(const rmt_supply_t *self, rmt_fetch_t **fetch_p, const rmt_records_t *holders,
       rmt_error_t *error)
{
    const char *host = rmt_task_host(self->task);
    if (*fetch_p)
        return rmt_fetch_renew(*fetch_p, holders, host, error);
    *fetch_p = rmt_fetch_new(holders, host, self->own, self->image, error);
    if (!*fetch_p)
        return -1;
    rmt_fetch_set_alive(*fetch_p, rmt_task_go_on, self->task);
    return 0;
}

static int
s_connect(rmt_supply_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "place", self->place);
    rmt_record_set(body, "service", "order");
    rmt_record_set(body, "image", self->image_text);
    rmt_auto(rmt_msg) reply = rmt_task_request(self->task, "holders", body, NULL, error);
    if (!reply)
        return rmt_wrap(error, "ask the broker for holders of the image");
    const rmt_records_t *holders = rmt_msg_items(reply);
    if (s_have(self, &self->contents, holders, error) == -1 ||
        s_have(self, &self->manifests, holders, error) == -1)
        return -1;
    return 0;
}

rmt_supply_t *
rmt_supply_new(rmt_task_t *task, const rmt_key_t *own, const char *place,
               const rmt_id_t *image, rmt_relays_t *relays, rmt_error_t *error)
{
    rmt_auto(rmt_supply) self = calloc(1, sizeof *self);
    assert(self);
    self->task = task;
    self->own = own;
    self->place = rmt_text("%s", place);
    self->image = image;
    self->good_ms = rmt_clock_ms();
    (void) rmt_id_text(image, self->image_text);
    if (s_connect(self, error) == -1)
        return NULL;
    self->relays = relays;
    rmt_peering_t *relay = relays ? rmt_relays_begin(relays, task, image) : NULL;
    self->intake = rmt_intake_new(relay, self->contents);
    rmt_intake_set_alive(self->intake, rmt_task_go_on, task);
    if (relay)
        rmt_fetch_set_ring(self->manifests, rmt_peering_ring(relay));
    return rmt_take(&self);
}

void
rmt_supply_destroy(rmt_supply_t **self_p)
{
    rmt_supply_t *self = *self_p;
    if (!self)
        return;
    if (self->relays)
        rmt_relays_end(self->relays, rmt_intake_relayed(self->intake));
    rmt_intake_destroy(&self->intake);
    rmt_fetch_destroy(&self->contents);
    rmt_fetch_destroy(&self->manifests);
    free(self->place);
    free(self);
    *self_p = NULL;
}

// True when it is worth asking again, after a pause: no holder answered, or a holder that
// was started anew does not know us yet.
static bool
s_may_go_on(rmt_supply_t *self, rmt_error_t *error)
{
    if ((error->code != RMT_E_UNAVAILABLE && error->code != RMT_E_NOT_ALLOWED &&
         error->code != RMT_E_TIMEOUT && error->code != RMT_E_NOT_FOUND) ||
        rmt_clock_ms() - self->good_ms > GIVE_UP_MS)
        return false;
    s_tell(self, error);
    do {
        const struct timespec pause = {.tv_sec = PAUSE_MS / 1000};
        nanosleep(&pause, NULL);
        if (!rmt_task_go_on(self->task))
            return rmt_fail(error, RMT_E_CANCELLED, "the task was cancelled") == 0;
        if (s_connect(self, error) == 0)
            return true;
    } while (rmt_clock_ms() - self->good_ms <= GIVE_UP_MS);
    return false;
}

int
rmt_supply_read(void *supply, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    rmt_supply_t *self = supply;
    while (rmt_fetch_read(self->manifests, id, plain_out, size_out, error) == -1)
        if (!s_may_go_on(self, error))
            return -1;
    self->good_ms = rmt_clock_ms();
    rmt_task_waits(self->task, NULL);
    return 0;
}

void
rmt_supply_expect(rmt_supply_t *self, const rmt_id_t *ids, size_t count)
{
    rmt_fetch_expect(self->manifests, ids, count);
}

int
rmt_supply_read_contents(rmt_supply_t *self, const rmt_id_t *id, void *plain_out,
                         size_t *size_out, rmt_error_t *error)
{
    while (rmt_intake_read(self->intake, id, plain_out, size_out, error) == -1)
        if (!s_may_go_on(self, error))
            return -1;
    self->good_ms = rmt_clock_ms();
    rmt_task_waits(self->task, NULL);
    if (self->relays)
        rmt_relays_tick(self->relays, self->task);
    return 0;
}

void
rmt_supply_expect_contents(rmt_supply_t *self, const rmt_id_t *id, uint32_t size)
{
    rmt_intake_expect(self->intake, id, size);
}
