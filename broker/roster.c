#include "broker/roster.h"

#include <assert.h>
#include "broker/guard.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "base/rmt_random.h"
#include "state/rmt_limits.h"

struct rmt_roster {
    zhashx_t *members; // Key -> rmt_member_t
    zhashx_t *flights; // Task -> record
};

static void
s_member_destroy(void **item_p)
{
    rmt_member_t *self = *item_p;
    if (!self)
        return;
    free(self->role);
    free(self->name);
    free(self->place);
    zframe_destroy(&self->route);
    for (size_t i = 0; i < self->offer_count; i++)
        free((char *) self->offers[i].service);
    free(self->offers);
    free(self);
    *item_p = NULL;
}

static void
s_destroy_record(void **item_p)
{
    rmt_record_destroy((rmt_record_t **) item_p);
}

rmt_roster_t *
rmt_roster_new(void)
{
    rmt_roster_t *self = zmalloc(sizeof *self);
    self->members = zhashx_new();
    zhashx_set_destructor(self->members, s_member_destroy);
    self->flights = zhashx_new();
    zhashx_set_destructor(self->flights, s_destroy_record);
    return self;
}

void
rmt_roster_destroy(rmt_roster_t **self_p)
{
    rmt_roster_t *self = *self_p;
    if (self) {
        zhashx_destroy(&self->members);
        zhashx_destroy(&self->flights);
        free(self);
        *self_p = NULL;
    }
}

rmt_member_t *
rmt_roster_find(rmt_roster_t *self, const char *key)
{
    return zhashx_lookup(self->members, key);
}

rmt_member_t *
rmt_roster_greet(rmt_roster_t *self, const rmt_record_t *key_record, zsock_t *port,
                 rmt_packet_t *packet)
{
    const rmt_records_t *services = rmt_msg_items(packet->msg);
    const char *key = rmt_record_text(key_record, "key", "");
    rmt_member_t *member = zmalloc(sizeof *member);
    snprintf(member->key, sizeof member->key, "%s", key);
    member->role = strdup(rmt_record_text(key_record, "role", ""));
    member->name = strdup(rmt_record_text(key_record, "name", ""));
    member->place = strdup(rmt_record_text(key_record, "place", ""));
    member->port = port;
    member->route = rmt_take(&packet->route);
    member->origin = packet->origin;
    member->heard_at = rmt_clock_ms();
    uint8_t greeting[RMT_UID_SIZE];
    rmt_random_bytes(greeting, sizeof greeting);
    rmt_uid_text(greeting, member->greeting);
    member->offer_count = rmt_records_count(services);
    member->offers = zmalloc((member->offer_count + 1) * sizeof *member->offers);
    for (size_t i = 0; i < member->offer_count; i++) {
        const rmt_record_t *item = rmt_records_at(services, i);
        member->offers[i].service = strdup(rmt_record_text(item, "service", ""));
        member->offers[i].slots = (uint32_t) rmt_record_u64(item, "slots", 1);
    }
    zhashx_update(self->members, key, member);
    return member;
}

void
rmt_roster_drop(rmt_roster_t *self, const char *key)
{
    zhashx_delete(self->members, key);
}

void
rmt_roster_clear(rmt_roster_t *self)
{
    zhashx_purge(self->members);
    zhashx_purge(self->flights);
}

rmt_member_t *
rmt_roster_first(rmt_roster_t *self)
{
    return zhashx_first(self->members);
}

rmt_member_t *
rmt_roster_next(rmt_roster_t *self)
{
    return zhashx_next(self->members);
}

size_t
rmt_roster_count(const rmt_roster_t *self)
{
    return zhashx_size(self->members);
}

bool
rmt_member_is_present(const rmt_member_t *self)
{
    return rmt_clock_ms() - self->heard_at < RMT_PRESENT_MS;
}

void
rmt_roster_expire(rmt_roster_t *self)
{
    rmt_auto(zlist) stale = zlist_new();
    zlist_autofree(stale);
    for (rmt_member_t *member = rmt_roster_first(self); member;
         member = rmt_roster_next(self))
        if (!rmt_member_is_present(member))
            zlist_append(stale, member->key);
    for (const char *key = zlist_first(stale); key; key = zlist_next(stale))
        rmt_roster_drop(self, key);
}

rmt_service_offer_t *
rmt_member_offer(rmt_member_t *self, const char *service)
{
    for (size_t i = 0; i < self->offer_count; i++)
        if (streq(self->offers[i].service, service))
            return &self->offers[i];
    return NULL;
}

char *
rmt_member_services(const rmt_member_t *self)
{
    char *text = strdup("");
    for (size_t i = 0; i < self->offer_count; i++) {
        char *longer = rmt_text("%s%s%s=%u", text, *text ? "," : "",
                                self->offers[i].service, self->offers[i].slots);
        free(text);
        text = longer;
    }
    return text;
}

int
rmt_member_try_send(const rmt_member_t *self, const rmt_msg_t *msg, rmt_error_t *error)
{
    const rmt_guard_to_t to = {self->port, self->route, self->key, &self->origin, NULL};
    return rmt_guard_send(self->broker, &to, msg, error);
}

void
rmt_member_send(const rmt_member_t *self, const rmt_msg_t *msg)
{
    rmt_error_t error = {0};
    if (rmt_member_try_send(self, msg, &error) == -1)
        rmt_log(RMT_DEBUG, "peer.unsent", "name=%s kind=%s text=\"%s\"", self->name,
                rmt_msg_kind_name(msg->kind), error.text);
}

bool
rmt_member_is_holder(const rmt_member_t *self)
{
    return streq(self->role, "imager") || streq(self->role, "installer");
}

rmt_record_t *
rmt_member_meta(const rmt_member_t *self)
{
    rmt_record_t *meta = rmt_record_new();
    rmt_record_set(meta, "by", self->key);
    rmt_record_set(meta, "role", self->role);
    rmt_record_set(meta, "name", self->name);
    rmt_record_set(meta, "place", self->place);
    rmt_record_set(meta, "address", self->origin.address);
    return meta;
}

rmt_asked_t *
rmt_asked_new(rmt_broker_t *broker, const rmt_member_t *member, const char *service)
{
    rmt_asked_t *self = zmalloc(sizeof *self);
    self->broker = broker;
    snprintf(self->greeting, sizeof self->greeting, "%s", member->greeting);
    self->service = strdup(service);
    snprintf(self->key, sizeof self->key, "%s", member->key);
    return self;
}

void
rmt_asked_destroy(rmt_asked_t **self_p)
{
    free((*self_p)->service);
    free(*self_p);
    *self_p = NULL;
}

rmt_member_t *
rmt_asked_member(const rmt_asked_t *self, const rmt_msg_t *reply)
{
    rmt_member_t *member = reply->code == RMT_E_CANCELLED
                               ? NULL
                               : rmt_roster_find(self->broker->roster, self->key);
    return member && streq(member->greeting, self->greeting) ? member : NULL;
}

void
rmt_roster_fly(rmt_roster_t *self, const char *key, const rmt_record_t *task)
{
    static const char *const kept[] = {"task",    "attempt", "job",  "service",
                                       "subject", "stage",   "phase"};
    rmt_record_t *flight = rmt_record_new();
    rmt_record_set(flight, "worker", key);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        rmt_record_set(flight, kept[i], rmt_record_text(task, kept[i], ""));
    const char *id = rmt_record_text(task, "task", rmt_record_text(task, "id", ""));
    rmt_record_set(flight, "task", id);
    zhashx_update(self->flights, id, flight);
}

rmt_record_t *
rmt_roster_flight(rmt_roster_t *self, const char *task)
{
    return zhashx_lookup(self->flights, task);
}

zlist_t *
rmt_roster_strays(rmt_roster_t *self)
{
    zlist_t *strays = zlist_new();
    zlist_autofree(strays);
    for (const rmt_record_t *flight = zhashx_first(self->flights); flight;
         flight = zhashx_next(self->flights))
        if (!rmt_roster_find(self, rmt_record_text(flight, "worker", "")))
            zlist_append(strays, (void *) zhashx_cursor(self->flights));
    return strays;
}

void
rmt_roster_land(rmt_roster_t *self, const char *task)
{
    zhashx_delete(self->flights, task);
}
