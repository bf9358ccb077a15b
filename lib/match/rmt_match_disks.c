// Disks, matched to roles and not to order.
#include "base/rmt_auto.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const rmt_record_t *disk;
    uint64_t bytes; // What a role needs, or what a disk has
    char *shape;    // Equal shapes can stand for each other
    bool taken;
    bool is_double; // Another disk is known by the same words
} place_t;

typedef struct {
    place_t *items;
    size_t count;
} places_t;

const char *
rmt_match_disk_identity(const rmt_record_t *disk)
{
    static const char *const fields[] = {"wwn", "serial", "path"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *text = rmt_record_text(disk, fields[i], "");
        if (text[0])
            return text;
    }
    return rmt_record_text(disk, "name", "");
}

static const char *
s_role(const rmt_record_t *disk)
{
    return rmt_record_text(disk, "role", rmt_record_text(disk, "name", ""));
}

// A table is written in sectors, so the sector size counts under every policy. An
// exact size is part of the shape, so that choosing knows at-least only.
static char *
s_shape(const rmt_match_run_t *run, const rmt_record_t *disk)
{
    const char *policy = rmt_match_policy(run, "disk");
    const bool any = strcmp(policy, "ignore") == 0;
    const bool family = any || strcmp(policy, "family") == 0;
    const bool exact = strcmp(rmt_match_policy(run, "disk-size"), "exact") == 0;
    return rmt_text(
        "%s%s%s%ssector %s%s%s", family ? "" : rmt_record_text(disk, "bus", ""),
        family ? "" : " ", any ? "" : rmt_record_text(disk, "media", ""), any ? "" : " ",
        rmt_record_text(disk, "logical-sector", "512"), exact ? " bytes " : "",
        exact ? rmt_record_text(disk, "bytes", "") : "");
}

static int
s_compare_path(const place_t *one, const place_t *two)
{
    return strcmp(rmt_record_text(one->disk, "path", s_role(one->disk)),
                  rmt_record_text(two->disk, "path", s_role(two->disk)));
}

static int
s_compare_place(const void *a, const void *b)
{
    const place_t *one = a;
    const place_t *two = b;
    const int shape = strcmp(one->shape, two->shape);
    if (shape)
        return shape;
    if (one->bytes != two->bytes)
        return one->bytes < two->bytes ? -1 : 1;
    return s_compare_path(one, two);
}

const rmt_layout_volume_t *
rmt_match_root(const rmt_match_run_t *run)
{
    return run->image->layout ? rmt_layout_root(run->image->layout) : NULL;
}

// What a role needs: as the image tells, else as its layout does, else the disk it had.
static uint64_t
s_needed(const rmt_match_run_t *run, const rmt_record_t *disk)
{
    const uint64_t bytes = rmt_record_u64(disk, "bytes", 0);
    const rmt_layout_t *layout = run->image->layout;
    const rmt_layout_disk_t *own =
        layout ? rmt_layout_find_disk(layout, s_role(disk)) : NULL;
    if (rmt_record_has(disk, "required-bytes") || !own)
        return rmt_record_u64(disk, "required-bytes", bytes);
    return rmt_layout_min_bytes(layout, (size_t) (own - layout->disks));
}

static void
s_mark_doubles(places_t *places)
{
    for (size_t i = 0; i < places->count; i++) {
        for (size_t j = i + 1; j < places->count; j++) {
            if (strcmp(rmt_match_disk_identity(places->items[i].disk),
                       rmt_match_disk_identity(places->items[j].disk)) == 0)
                places->items[i].is_double = places->items[j].is_double = true;
        }
    }
}

// The disks that count, sorted by shape, then size. What is plugged in or
// taken out is no part of a machine. On the image's side roles count, where there are
// any.
static places_t
s_places_new(const rmt_match_run_t *run, const rmt_records_t *records, bool is_image)
{
    const size_t count = rmt_records_count(records);
    places_t places = {.items = calloc(count + 1, sizeof(place_t))};
    if (!places.items)
        abort();
    bool roles = false;
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *disk = rmt_records_at(records, i);
        roles = roles || (is_image && rmt_record_has(disk, "role") &&
                          strcmp(rmt_record_text(disk, "class", ""), "disk") == 0);
    }
    for (size_t i = 0; i < count; i++) {
        const rmt_record_t *disk = rmt_records_at(records, i);
        if (strcmp(rmt_record_text(disk, "class", ""), "disk") != 0 ||
            (roles ? !rmt_record_has(disk, "role")
                   : strcmp(rmt_record_text(disk, "bus", ""), "usb") == 0 ||
                         rmt_record_has(disk, "removable")))
            continue;
        places.items[places.count++] = (place_t){
            .disk = disk,
            .bytes = is_image ? s_needed(run, disk) : rmt_record_u64(disk, "bytes", 0),
            .shape = s_shape(run, disk),
        };
    }
    qsort(places.items, places.count, sizeof *places.items, s_compare_place);
    if (!is_image)
        s_mark_doubles(&places);
    return places;
}

static void
s_places_free(places_t *places)
{
    for (size_t i = 0; i < places->count; i++)
        free(places->items[i].shape);
    free(places->items);
}

static void
s_add_disk(rmt_match_run_t *run, const char *class, const place_t *role,
           const place_t *disk)
{
    rmt_record_t *record = rmt_records_add(run->verdicts);
    rmt_record_set(record, "class", class);
    rmt_record_set(record, "role", s_role(role->disk));
    rmt_record_set(record, "disk", rmt_match_disk_identity(disk->disk));
    rmt_record_set(record, "name", rmt_record_text(disk->disk, "name", ""));
    rmt_record_set_u64(record, "bytes", rmt_record_u64(disk->disk, "bytes", 0));
}

static void
s_add_verdict(rmt_match_run_t *run, const place_t *role, const place_t *disk,
              const char *reason)
{
    rmt_auto_str wanted = rmt_text("%s %" PRIu64, role->shape, role->bytes);
    rmt_auto_str had =
        disk ? rmt_text("%s %" PRIu64, disk->shape, disk->bytes) : rmt_text("no disk");
    rmt_record_t *verdict =
        rmt_match_verdict(run, "disk", wanted, had, reason == NULL, reason);
    rmt_record_set(verdict, "role", s_role(role->disk));
}

static void
s_choose(rmt_match_run_t *run, place_t *role, place_t *disk)
{
    role->taken = true;
    disk->taken = true;
    if (disk->is_double) {
        s_add_verdict(run, role, disk,
                      "several disks have the same identity: several paths to one disk "
                      "(multipath) are not supported");
        return;
    }
    const rmt_layout_volume_t *root = rmt_match_root(run);
    if (!root ||
        strcmp(run->image->layout->disks[root->disk].role, s_role(role->disk)) == 0)
        run->root_disk = disk->disk;
    s_add_verdict(run, role, disk, NULL);
    s_add_disk(run, "choice", role, disk);
    rmt_match_volumes(run, s_role(role->disk), disk->bytes);
}

static char *
s_too_small(const place_t *role, const place_t *disk)
{
    rmt_auto_str needed = rmt_match_bytes(role->bytes);
    rmt_auto_str had = rmt_match_bytes(disk->bytes);
    return rmt_text("the disk is too small: the image needs %s, and the disk has %s",
                    needed, had);
}

// Why none of the disks would do: the nearest miss, a disk of the right kind before one
// whose sectors alone differ, before any other.
static void
s_refuse(rmt_match_run_t *run, const place_t *role, const places_t *disks)
{
    const char *sector = rmt_record_text(role->disk, "logical-sector", "512");
    const place_t *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < disks->count; i++) {
        const place_t *disk = &disks->items[i];
        const bool same_sector =
            strcmp(rmt_record_text(disk->disk, "logical-sector", "512"), sector) == 0;
        const bool same_bus = strcmp(rmt_match_text(disk->disk, "bus"),
                                     rmt_match_text(role->disk, "bus")) == 0;
        const int rank = disk->taken                             ? 0
                         : strcmp(disk->shape, role->shape) == 0 ? 3
                         : same_bus && !same_sector              ? 2
                                                                 : 1;
        if (rank &&
            (rank > best_rank || (rank == best_rank && disk->bytes > best->bytes))) {
            best = disk;
            best_rank = rank;
        }
    }
    rmt_auto_str no_disk = rmt_inventory_no_disk(run->target);
    rmt_auto_str reason =
        no_disk          ? rmt_text("%s", no_disk)
        : best_rank == 3 ? s_too_small(role, best)
        : best_rank == 2
            ? rmt_text("the disk has sectors of %s bytes, and the image has sectors of "
                       "%s bytes",
                       rmt_record_text(best->disk, "logical-sector", "512"), sector)
        : best_rank == 1 ? rmt_text("the disk is of another kind")
                         : rmt_text("the target has too few disks");
    s_add_verdict(run, role, best, reason);
}

static bool
s_is_named(const rmt_record_t *disk, const char *identity)
{
    static const char *const fields[] = {"wwn", "serial", "path", "name"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strcmp(rmt_record_text(disk, fields[i], ""), identity) == 0)
            return true;
    }
    return false;
}

// A disk that was named for a role which the image does not have was meant for another:
// that must not go unseen, as what is chosen is erased.
static void
s_refuse_unknown(rmt_match_run_t *run, const places_t *roles)
{
    const rmt_record_t *policy = run->image->policy;
    for (size_t i = 0; policy && i < rmt_record_count(policy); i++) {
        const char *name = rmt_record_name_at(policy, i);
        size_t role = 0;
        if (strncmp(name, "disk.", 5) != 0)
            continue;
        while (role < roles->count &&
               strcmp(s_role(roles->items[role].disk), name + 5) != 0)
            role++;
        if (role < roles->count)
            continue;
        rmt_auto_str reason =
            rmt_text("the policy names a disk for role %s; the image has the role %s%s",
                     name + 5, roles->count ? s_role(roles->items[0].disk) : "none",
                     roles->count > 1 ? ", and others" : "");
        rmt_match_verdict(run, "disk", name + 5, rmt_record_text(policy, name, ""), false,
                          reason);
    }
}

// Roles for which a person has named the disk come first.
static void
s_choose_named(rmt_match_run_t *run, const places_t *roles, const places_t *disks)
{
    for (size_t i = 0; run->image->policy && i < roles->count; i++) {
        place_t *role = &roles->items[i];
        rmt_auto_str name = rmt_text("disk.%s", s_role(role->disk));
        const char *identity = rmt_record_text(run->image->policy, name, "");
        if (!identity[0])
            continue;
        place_t *found = NULL;
        for (size_t j = 0; j < disks->count && !found; j++) {
            if (!disks->items[j].taken && s_is_named(disks->items[j].disk, identity))
                found = &disks->items[j];
        }
        role->taken = true;
        if (!found)
            s_add_verdict(run, role, NULL,
                          "the target lacks the disk that the policy names");
        else if (strcmp(found->shape, role->shape) != 0)
            s_add_verdict(run, role, found,
                          "the disk that the policy names is of another kind");
        else if (found->bytes < role->bytes) {
            rmt_auto_str reason = s_too_small(role, found);
            s_add_verdict(run, role, found, reason);
        } else
            s_choose(run, role, found);
    }
}

// Free disks that would do for a role, smallest first.
static size_t
s_candidates(const place_t *role, const places_t *disks, place_t **out)
{
    size_t count = 0;
    for (size_t i = 0; i < disks->count; i++) {
        place_t *disk = &disks->items[i];
        if (!disk->taken && strcmp(disk->shape, role->shape) == 0 &&
            disk->bytes >= role->bytes)
            out[count++] = disk;
    }
    return count;
}

static int
s_compare_own(const void *a, const void *b)
{
    const place_t *one = *(place_t *const *) a;
    const place_t *two = *(place_t *const *) b;
    const uint64_t first = rmt_record_u64(one->disk, "bytes", 0);
    const uint64_t second = rmt_record_u64(two->disk, "bytes", 0);
    if (first != second)
        return first < second ? -1 : 1;
    return s_compare_path(one, two); // What a role needs has no say in it
}

// With as many disks as roles, the disks go to the roles as their own ones were, smallest
// to smallest, where that leaves each what it needs. Chooses all or none.
static bool
s_choose_as_before(rmt_match_run_t *run, place_t **group, size_t count,
                   const places_t *disks)
{
    rmt_auto_ptr found = calloc(disks->count + 1, sizeof(place_t *));
    rmt_auto_ptr sorted = calloc(count + 1, sizeof(place_t *));
    if (!found || !sorted)
        abort();
    place_t **candidates = found;
    place_t **roles = sorted;
    memcpy(roles, group, count * sizeof *roles);
    qsort(roles, count, sizeof *roles, s_compare_own);
    bool is_enough = s_candidates(group[0], disks, candidates) == count;
    for (size_t i = 0; i < count && is_enough; i++)
        is_enough = candidates[i]->bytes >= roles[i]->bytes;
    for (size_t i = 0; i < count && is_enough; i++)
        s_choose(run, roles[i], candidates[i]);
    return is_enough;
}

// Roles of one shape, smallest first. The largest role chooses first: when no more
// disks are left than roles, the largest of them, which finds a place for all if
// there is one; else only a disk without a rival.
static void
s_choose_group(rmt_match_run_t *run, place_t **group, size_t count, const places_t *disks)
{
    rmt_auto_ptr memory = calloc(disks->count + 1, sizeof(place_t *));
    place_t **candidates = memory;
    if (!memory)
        abort();
    if (s_choose_as_before(run, group, count, disks))
        return;
    for (size_t left = count; left > 0; left--) {
        place_t *role = group[left - 1];
        const size_t all = s_candidates(group[0], disks, candidates);
        const size_t own = s_candidates(role, disks, candidates);
        if (own == 0) {
            s_refuse(run, role, disks);
        } else if (own == 1 || all <= left) {
            s_choose(run, role, candidates[own - 1]);
        } else {
            s_add_verdict(run, role, NULL,
                          "ambiguous: several disks fit; name one by the policy "
                          "disk.<role>=<wwn, serial, path or name>");
            for (size_t i = 0; i < own; i++)
                s_add_disk(run, "candidate", role, candidates[i]);
        }
    }
}

void
rmt_match_disks(rmt_match_run_t *run)
{
    places_t roles = s_places_new(run, run->image->hardware, true);
    places_t disks = s_places_new(run, run->target, false);
    s_refuse_unknown(run, &roles);
    s_choose_named(run, &roles, &disks);
    rmt_auto_ptr memory = calloc(roles.count + 1, sizeof(place_t *));
    place_t **group = memory;
    if (!memory)
        abort();
    for (size_t i = 0; i < roles.count; i++) {
        size_t count = 0;
        for (size_t j = i; j < roles.count; j++) {
            if (!roles.items[j].taken &&
                strcmp(roles.items[j].shape, roles.items[i].shape) == 0) {
                group[count++] = &roles.items[j];
                roles.items[j].taken = true;
            }
        }
        if (count)
            s_choose_group(run, group, count, &disks);
    }
    s_places_free(&roles);
    s_places_free(&disks);
}
