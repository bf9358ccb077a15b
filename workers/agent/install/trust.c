#include "agent/install/trust.h"
#include "agent/install/supply.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "facts/rmt_address.h"
#include "facts/rmt_facts.h"
#include "machine/rmt_inventory.h"
#include "trust/rmt_warrant.h"
#include "wire/rmt_codec.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define MEMORY_SIZE_MAX ((size_t) 4096)

struct rmt_trust {
    pthread_mutex_t lock;
    const rmt_agent_t *agent;
    bool is_told;
    rmt_id_t told;
    rmt_root_t *root; // The newest; NULL until it is known
    uint64_t newest_s;
};

// ---- What is kept

static char *
s_path(const rmt_trust_t *self, const char *name)
{
    return rmt_text("%s/%s", rmt_config_text(self->agent->config, "state"), name);
}

// A small file of the state folder, or NULL. Caller owns.
static char *
s_load_text(const rmt_trust_t *self, const char *name, size_t limit)
{
    rmt_error_t ignored = {0};
    void *text = NULL;
    size_t size;
    rmt_auto_str path = s_path(self, name);
    return rmt_io_load(path, limit, &text, &size, &ignored) == 0 ? text : NULL;
}

// The trust root that was told last, when nothing tells one now. What was kept beside it
// counts for that one, not for another farm's.
static void
s_load(rmt_trust_t *self)
{
    rmt_error_t ignored = {0};
    rmt_id_t kept;
    rmt_auto_str memory = s_load_text(self, "trust.state", MEMORY_SIZE_MAX);
    rmt_auto_str text = s_load_text(self, "trust.root", RMT_SIGNED_SIZE_MAX);
    rmt_auto(rmt_records) records = memory ? rmt_facts_parse(memory, &ignored) : NULL;
    const rmt_record_t *state =
        records ? rmt_records_find(records, "class", "trust") : NULL;
    if (!state ||
        rmt_id_parse(&kept, rmt_record_text(state, "told", ""), &ignored) == -1 ||
        (self->is_told && !rmt_id_equal(&kept, &self->told)))
        return;
    self->told = kept;
    self->is_told = true;
    self->newest_s = rmt_record_u64(state, "issued", 0);
    self->root = text ? rmt_root_read(text, strlen(text), &ignored) : NULL;
}

static int
s_save(const rmt_trust_t *self, rmt_error_t *error)
{
    char told[RMT_ID_TEXT_SIZE];
    const char *root = self->root ? rmt_root_text(self->root)->text : "";
    rmt_auto_str memory_path = s_path(self, "trust.state");
    rmt_auto_str root_path = s_path(self, "trust.root");
    rmt_auto_str memory = rmt_text("class=trust told=%s issued=%" PRIu64 "\n",
                                   rmt_id_text(&self->told, told), self->newest_s);
    if (rmt_io_save(root_path, root, strlen(root), 0644, error) == -1)
        return -1;
    return rmt_io_save(memory_path, memory, strlen(memory), 0644, error);
}

// ---- What is told

static int
s_find_told(rmt_trust_t *self, rmt_error_t *error)
{
    const rmt_config_t *config = self->agent->config;
    const char *setting = rmt_config_text(config, "trust-root");
    rmt_error_t ignored = {0};
    rmt_token_t token = {.root = ""};
    rmt_auto_str word = rmt_token_find(rmt_config_text(config, "token"), &ignored);
    if (word && !*setting)
        (void) rmt_token_parse(&token, word, &ignored);
    const char *told = *setting ? setting : token.root;
    self->is_told = *told;
    if (!self->is_told || rmt_id_parse(&self->told, told, &ignored) == 0)
        return 0;
    return rmt_fail(error, RMT_E_CONFIG,
                    "the setting trust-root is not an id; write what this prints: ramet "
                    "trust show");
}

rmt_trust_t *
rmt_trust_new(const rmt_agent_t *agent, rmt_error_t *error)
{
    rmt_auto(rmt_trust) self = calloc(1, sizeof *self);
    assert(self);
    pthread_mutex_init(&self->lock, NULL);
    self->agent = agent;
    if (s_find_told(self, error) == -1)
        return NULL;
    s_load(self);
    if (self->is_told && s_save(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

const char *
rmt_trust_told(const rmt_trust_t *self, char text_out[RMT_ID_TEXT_SIZE])
{
    *text_out = '\0';
    return self->is_told ? rmt_id_text(&self->told, text_out) : text_out;
}

void
rmt_trust_destroy(rmt_trust_t **self_p)
{
    rmt_trust_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    rmt_root_destroy(&self->root);
    free(self);
    *self_p = NULL;
}

// ---- The trust root

// As a broker has it. Caller owns. NULL: what the broker says, USAGE.
static rmt_root_t *
s_ask(rmt_task_t *task, const char *field, const char *value, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, field, value);
    rmt_auto(rmt_msg) reply = rmt_task_request(task, "trust.root", body, NULL, error);
    if (!reply)
        return NULL;
    size_t size = 0;
    const void *text = rmt_record_get(reply->body, "root", &size);
    return rmt_root_read(text ? text : "", size, error);
}

static int
s_find_first(rmt_trust_t *self, rmt_task_t *task, rmt_error_t *error)
{
    char told[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_root) root = s_ask(task, "id", rmt_id_text(&self->told, told), error);
    if (!root)
        return rmt_wrap(error, "trust root %.16s...", told);
    if (!rmt_id_equal(rmt_root_id(root), &self->told))
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the broker gave another trust root than %.16s..., which this "
                        "machine was told",
                        told);
    if (rmt_root_check(root, error) == -1)
        return -1;
    self->root = rmt_take(&root);
    return 0;
}

// Go from version to version as far as the broker has them. One that does not follow is
// the end: what was true before it stays true.
static int
s_find_newest(rmt_trust_t *self, rmt_task_t *task, rmt_error_t *error)
{
    if (!self->root && s_find_first(self, task, error) == -1)
        return -1;
    for (;;) {
        rmt_error_t why = {0};
        rmt_auto_str version = rmt_text("%" PRIu64, rmt_root_version(self->root) + 1);
        rmt_auto(rmt_root) next = s_ask(task, "version", version, &why);
        if (!next && why.code == RMT_E_NOT_FOUND)
            return 0;
        if (!next || rmt_root_check_next(self->root, next, &why) == -1) {
            rmt_log(RMT_WARN, "trust.refused", "version=%s error=\"%s\"", version,
                    why.text);
            return 0;
        }
        rmt_root_destroy(&self->root);
        self->root = rmt_take(&next);
    }
}

// ---- The order

// The layout of the order is that of the image, whose id says what its descriptor is: so
// no manifest and no volume comes from elsewhere.
static int
s_check_layout(const rmt_trust_t *self, rmt_task_t *task, rmt_order_t *order,
               rmt_error_t *error)
{
    rmt_auto(rmt_supply) supply =
        rmt_supply_new(task, &self->agent->key, order->place, &order->image, NULL, error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    size_t size;
    if (!supply || rmt_supply_read(supply, &order->image, plain, &size, error) == -1)
        return rmt_wrap(error, "description of the image");
    rmt_auto(rmt_records) descriptor =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    rmt_auto(rmt_layout) layout = descriptor ? rmt_layout_read(descriptor, error) : NULL;
    if (!layout)
        return rmt_wrap(error, "description of the image");
    return rmt_order_complete(order, &layout, error);
}

static char *
s_signers(const rmt_warrant_signers_t *signers)
{
    return signers->is_signed
               ? rmt_text("order: %s; image: %s, release %" PRIu64, signers->operator,
                          signers->release.person, signers->release.counter)
               : rmt_text("order: %s; image: not signed", signers->operator);
}

// The MAC of the machine's only interface, or "".
static void
s_find_mac(const rmt_records_t *hardware, char mac_out[RMT_MAC_TEXT_SIZE])
{
    size_t count;
    rmt_error_t ignored = {0};
    rmt_auto_str macs = rmt_inventory_macs(hardware, &count);
    if (count != 1 || rmt_address_parse_mac(macs, mac_out, &ignored) == -1)
        *mac_out = '\0';
}

static int
s_check(rmt_trust_t *self, rmt_task_t *task, rmt_order_t *order, char **signers_out,
        rmt_error_t *error)
{
    const rmt_record_t *body = rmt_task_body(task);
    if (!self->is_told)
        return rmt_fail(
            error, RMT_E_NOT_ALLOWED,
            "this machine was told no trust root, so it carries out no order; "
            "set trust-root = \"ID\" in the settings of its agent, or add "
            "ramet.root=ID to the command line of its thin-kernel; ID is what "
            "this prints: ramet trust show");
    const char *warrant = rmt_record_text(body, "warrant", "");
    if (!*warrant)
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "the order has no warrant; set order-key in the console's "
                        "configuration, then: ramet deploy start");
    if (s_find_newest(self, task, error) == -1)
        return -1;
    rmt_auto(rmt_records) releases =
        rmt_releases_read(rmt_record_text(body, "signatures", ""), error);
    rmt_auto_str identity = rmt_inventory_identity(self->agent->hardware);
    if (!releases)
        return rmt_wrap(error, "signatures of the image");
    char mac[RMT_MAC_TEXT_SIZE];
    s_find_mac(self->agent->hardware, mac);
    const rmt_warrant_case_t against = {.root = self->root,
                                        .target = self->agent->name,
                                        .identity = identity ? identity : "",
                                        .only_mac = *mac ? mac : NULL,
                                        .order = order,
                                        .releases = releases,
                                        .now_s = rmt_warrant_now_s(),
                                        .newest_s = self->newest_s};
    rmt_warrant_signers_t signers;
    if (rmt_warrant_check(warrant, &against, &signers, error) == -1 ||
        s_check_layout(self, task, order, error) == -1)
        return -1;
    self->newest_s = signers.issued_s;
    if (s_save(self, error) == -1)
        return -1;
    *signers_out = s_signers(&signers);
    return 0;
}

int
rmt_trust_check(rmt_trust_t *self, rmt_task_t *task, rmt_order_t *order,
                char **signers_out, rmt_error_t *error)
{
    *signers_out = NULL;
    pthread_mutex_lock(&self->lock);
    const int rc = s_check(self, task, order, signers_out, error);
    pthread_mutex_unlock(&self->lock);
    if (rc == 0)
        return 0;
    rmt_log(RMT_WARN, "order.refused", "target=%s error=\"%s\"", self->agent->name,
            error->text);
    return rmt_wrap(error, "nothing was written");
}
