#include "console/release.h"
#include "console/trust_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "trust/rmt_release.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Signing

static int
s_send(call_t *call, const rmt_id_t *image, const rmt_record_t *release,
       rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_records) one = rmt_records_new();
    rmt_record_t *copy = rmt_record_dup(release);
    rmt_records_append(one, &copy);
    rmt_auto_str line = rmt_facts_print(one);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "image", rmt_id_text(image, id));
    rmt_record_set(body, "key", rmt_record_text(release, "key", ""));
    rmt_record_set(body, "signature", line);
    rmt_auto(rmt_msg) reply = call_request(call, "image.sign", body, NULL, error);
    return reply ? 0 : -1;
}

int
release_put(call_t *call, const rmt_id_t *image, const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_records) releases = rmt_releases_read(text, error);
    if (!releases)
        return -1;
    for (size_t i = 0; i < rmt_records_count(releases); i++) {
        const rmt_record_t *release = rmt_records_at(releases, i);
        if (rmt_release_is_true(release, image) &&
            s_send(call, image, release, error) == -1)
            return -1;
    }
    return 0;
}

// The catalogue's record. Caller owns. NULL: what the broker said.
static rmt_record_t *
s_show(call_t *call, const char *name, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", name);
    rmt_auto(rmt_msg) reply = call_request(call, "image.show", body, NULL, error);
    return reply ? rmt_record_dup(reply->body) : NULL;
}

// Seconds since 1970 rise by themselves.
static int
s_counter(const call_t *call, uint64_t *counter_out, rmt_error_t *error)
{
    const char *given = rmt_record_text(call->options, "counter", NULL);
    const uint64_t now = (uint64_t) rmt_clock_wall_ms() / 1000;
    *counter_out = given ? rmt_record_u64(call->options, "counter", 0) : now;
    if (*counter_out > 0 && *counter_out < UINT64_MAX)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "--counter %s is not a number from 1 on, such as 7", given);
}

int
release_sign(call_t *call, rmt_error_t *error)
{
    const char *path = rmt_record_text(call->options, "key", "");
    uint64_t counter;
    rmt_id_t id;
    rmt_sign_key_t key;
    if (!*path)
        return rmt_fail(error, RMT_E_USAGE,
                        "the signature needs a key: --key FILE; make one with: ramet "
                        "trust key FILE");
    if (s_counter(call, &counter, error) == -1)
        return -1;
    rmt_auto(rmt_record) image = s_show(call, call->operands[0], error);
    if (!image || rmt_id_parse(&id, rmt_record_text(image, "id", ""), error) == -1 ||
        rmt_sign_key_load(&key, path, error) == -1)
        return -1;
    rmt_auto_str line = rmt_release_sign(&id, counter, &key);
    rmt_sign_key_wipe(&key);
    if (release_put(call, &id, line, error) == -1)
        return -1;
    fprintf(stderr, "signed image %s as release %" PRIu64 "; its id is %s\n",
            call->operands[0], counter, rmt_record_text(image, "id", ""));
    return 0;
}

// ---- Showing

// What a trust root says of one signature.
static const char *
s_state(const rmt_record_t *release, const rmt_id_t *id, const rmt_root_t *root)
{
    if (!rmt_release_is_true(release, id))
        return "is not a signature of this image";
    if (!root)
        return "not compared with a trust root";
    return rmt_release_person(release, id, root) ? "counts"
                                                 : "its key is not an image key";
}

rmt_records_t *
release_take(call_t *call, rmt_record_t *image, rmt_error_t *error)
{
    rmt_id_t id;
    rmt_root_t *own = NULL;
    if (trust_of(call, &own, error) == -1)
        return NULL;
    rmt_auto(rmt_root) root = own;
    rmt_auto(rmt_records) releases =
        rmt_releases_read(rmt_record_text(image, "signatures", ""), error);
    if (!releases || rmt_id_parse(&id, rmt_record_text(image, "id", ""), error) == -1)
        return NULL;
    rmt_record_remove(image, "signatures");
    rmt_records_t *items = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(releases); i++) {
        const rmt_record_t *release = rmt_records_at(releases, i);
        const char *person = root ? rmt_release_person(release, &id, root) : NULL;
        rmt_record_t *item = rmt_records_add(items);
        rmt_record_set(item, "release", rmt_record_text(release, "counter", ""));
        rmt_record_set(item, "name", person ? person : "");
        rmt_record_set(item, "state", s_state(release, &id, root));
        rmt_record_set(item, "key", rmt_record_text(release, "key", ""));
    }
    return items;
}

int
release_find(call_t *call, const char *name, const rmt_root_t *root,
             char id_out[RMT_ID_TEXT_SIZE], rmt_release_t *release_out,
             rmt_error_t *error)
{
    rmt_id_t id, asked;
    rmt_error_t is_name = {0};
    rmt_release_t best = {.counter = 0};
    rmt_auto(rmt_record) image = s_show(call, name, error);
    rmt_auto(rmt_records) releases =
        image ? rmt_releases_read(rmt_record_text(image, "signatures", ""), error) : NULL;
    if (!releases || rmt_id_parse(&id, rmt_record_text(image, "id", ""), error) == -1)
        return -1;
    if (rmt_id_parse(&asked, name, &is_name) == 0 && !rmt_id_equal(&id, &asked))
        return rmt_fail(error, RMT_E_CORRUPT, "the broker gave another image than %.16s",
                        name);
    if (!rmt_releases_best(releases, &id, root, &best) && !rmt_root_allows_unsigned(root))
        return rmt_fail(error, RMT_E_NOT_ALLOWED,
                        "image %s has no true signature by an image key of trust root "
                        "%" PRIu64 "; sign it with: ramet image sign %s --key FILE",
                        name, rmt_root_version(root), name);
    *release_out = best;
    (void) rmt_id_text(&id, id_out);
    return 0;
}

int
release_say(call_t *call, const char *name, rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    rmt_release_t best;
    rmt_root_t *own = NULL;
    if (trust_of(call, &own, error) == -1)
        return -1;
    if (!own)
        return 0;
    rmt_auto(rmt_root) root = own;
    if (release_find(call, name, root, id, &best, error) == -1)
        return -1;
    if (best.counter)
        call_say(call, "image %s: release %" PRIu64 ", signed by %s", name, best.counter,
                 best.person);
    else
        call_say(call, "image %s: not signed, which trust root %" PRIu64 " allows", name,
                 rmt_root_version(root));
    return 0;
}
