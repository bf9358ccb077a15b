// What stays on the other disks of a target, held against what the image brings: a
// running system finds both by the same names.
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "machine/rmt_inventory.h"
#include "match/rmt_match_run.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NO_DOS_ID "00000000-" // Of tables without an id

// Ids are written with and without marks between their digits, in letters of either case.
static bool
s_is_same_id(const char *one, const char *two)
{
    if (!*one || !*two)
        return false;
    for (;; one++, two++) {
        one += strspn(one, "-:");
        two += strspn(two, "-:");
        if (tolower((unsigned char) *one) != tolower((unsigned char) *two))
            return false;
        if (!*one)
            return true;
    }
}

static bool
s_is_same_name(const char *one, const char *two)
{
    return one && *one && strcmp(one, two) == 0;
}

static bool
s_has_partition(const rmt_layout_t *layout, const char *guid)
{
    if (strncmp(guid, NO_DOS_ID, sizeof NO_DOS_ID - 1) == 0)
        return false;
    for (size_t i = 0; i < layout->partition_count; i++)
        if (s_is_same_id(layout->partitions[i].guid, guid))
            return true;
    return false;
}

// File systems, swap, LUKS, physical volumes, and each of them carried block by block.
static bool
s_has_uuid(const rmt_layout_t *layout, const char *uuid)
{
    for (size_t i = 0; i < layout->volume_count; i++)
        if (s_is_same_id(rmt_record_text(layout->volumes[i].format, "uuid", ""), uuid))
            return true;
    for (size_t i = 0; i < layout->crypt_count; i++)
        if (s_is_same_id(layout->crypts[i].uuid, uuid))
            return true;
    for (size_t i = 0; i < layout->physical_count; i++)
        if (s_is_same_id(layout->physicals[i].uuid, uuid))
            return true;
    return false;
}

static bool
s_has(const rmt_layout_t *layout, const rmt_record_t *content)
{
    const char *kind = rmt_record_text(content, "kind", "");
    const char *uuid = rmt_record_text(content, "uuid", "");
    const char *name = rmt_record_text(content, "name", "");
    if (strcmp(kind, "partition") == 0)
        return s_has_partition(layout, uuid);
    for (size_t i = 0; strcmp(kind, "group") == 0 && i < layout->group_count; i++)
        if (s_is_same_name(layout->groups[i].name, name) ||
            s_is_same_id(layout->groups[i].uuid, uuid))
            return true;
    for (size_t i = 0; strcmp(kind, "array") == 0 && i < layout->array_count; i++)
        if (s_is_same_name(layout->arrays[i].name, name) ||
            s_is_same_id(layout->arrays[i].uuid, uuid))
            return true;
    return s_has_uuid(layout, uuid);
}

// Of two layers of one name or id a system uses neither, or one by chance. An older copy
// beside the new one is for a person to judge.
static bool
s_is_layer(const rmt_record_t *content)
{
    static const char *const kinds[] = {"group", "physical", "array", "crypto_LUKS"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (rmt_record_is(content, "kind", kinds[i]))
            return true;
    return false;
}

// ---- Which disk it is on

static bool
s_is_chosen(const rmt_records_t *chosen, const rmt_record_t *content)
{
    const char *disk = rmt_record_text(content, "disk", "");
    for (size_t i = 0; i < rmt_records_count(chosen); i++) {
        const rmt_record_t *one = rmt_records_at(chosen, i);
        if (!rmt_record_is(one, "class", "candidate") && rmt_record_is(one, "name", disk))
            return true;
    }
    return false;
}

// NULL: the machine tells of what lies on a disk that it does not have.
static const rmt_record_t *
s_disk_of(const rmt_records_t *machine, const rmt_record_t *content)
{
    const char *name = rmt_record_text(content, "disk", "");
    for (size_t i = 0; i < rmt_records_count(machine); i++) {
        const rmt_record_t *disk = rmt_records_at(machine, i);
        if (rmt_record_is(disk, "class", "disk") && rmt_record_is(disk, "name", name))
            return disk;
    }
    return NULL;
}

// Caller owns the result (free).
static char *
s_disk_words(const rmt_records_t *machine, const rmt_record_t *content)
{
    const rmt_record_t *disk = s_disk_of(machine, content);
    return disk ? rmt_inventory_disk_words(disk)
                : rmt_text("disk %s", rmt_record_text(content, "disk", ""));
}

// "volume group rhel", "array host:0", "ext4 with UUID 1-2-3". Caller owns it (free).
static char *
s_words(const rmt_record_t *content)
{
    static const struct {
        const char *kind, *words;
    } rows[] = {{"group", "volume group"},
                {"physical", "a physical volume"},
                {"array", "array"},
                {"partition", "a partition"},
                {"crypto_LUKS", "LUKS"}};
    const char *kind = rmt_record_text(content, "kind", "");
    const char *uuid = rmt_record_text(content, "uuid", "");
    const char *name = rmt_record_text(content, "name", "");
    const bool is_layer = strcmp(kind, "group") == 0 || strcmp(kind, "array") == 0;
    const char *words = kind;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        words = strcmp(rows[i].kind, kind) == 0 ? rows[i].words : words;
    return is_layer && *name ? rmt_text("%s %.80s", words, name)
                             : rmt_text("%s with UUID %.60s", words, uuid);
}

char *
rmt_match_twins(const rmt_layout_t *layout, const rmt_records_t *machine,
                const rmt_records_t *chosen)
{
    for (size_t i = 0; i < rmt_records_count(machine); i++) {
        const rmt_record_t *content = rmt_records_at(machine, i);
        if (!rmt_record_is(content, "class", "content") || !s_is_layer(content) ||
            s_is_chosen(chosen, content) || !s_has(layout, content))
            continue;
        rmt_auto_str disk = s_disk_words(machine, content);
        rmt_auto_str words = s_words(content);
        return rmt_text("%s is not one that the image is written to, and has %s as the "
                        "image has, so a copy could take one for the other; take that "
                        "disk out or clear it (wipefs -a), and start the machine's agent "
                        "again",
                        disk, words);
    }
    return NULL;
}

char *
rmt_match_copies(const rmt_layout_t *layout, const rmt_records_t *machine,
                 const rmt_records_t *chosen)
{
    char *names = NULL;
    const rmt_record_t *told = NULL;
    for (size_t i = 0; i < rmt_records_count(machine); i++) {
        const rmt_record_t *content = rmt_records_at(machine, i);
        const rmt_record_t *disk = s_disk_of(machine, content);
        if (!rmt_record_is(content, "class", "content") ||
            !rmt_record_is(content, "kind", "partition") || !disk || disk == told ||
            s_is_chosen(chosen, content) || !s_has(layout, content))
            continue;
        char *longer =
            rmt_text("%s%s%s (/dev/%s)", names ? names : "", names ? ", " : "",
                     rmt_match_disk_identity(disk), rmt_record_text(disk, "name", ""));
        free(names);
        names = longer;
        told = disk;
    }
    return names;
}

// ---- Verdicts

static void
s_warn(rmt_match_run_t *run, const char *words, const char *text)
{
    rmt_record_t *verdict = rmt_match_verdict(run, "other-disks", "", words, true, text);
    rmt_record_set(verdict, "warning", "yes");
}

// Says whether there is something to tell.
static bool
s_tell_twin(rmt_match_run_t *run, const rmt_record_t *content)
{
    if (!s_has(run->image->layout, content))
        return false;
    rmt_auto_str disk = s_disk_words(run->target, content);
    rmt_auto_str words = s_words(content);
    rmt_auto_str text =
        rmt_text("%s, which stays, has %s as the image has: the machine may start or "
                 "mount that in place of the copy's",
                 disk, words);
    s_warn(run, words, text);
    return true;
}

static const char *
s_tail(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? colon + 1 : name;
}

// mdadm calls both /dev/md/NAME, and adds a number to the one that it finds later, unless
// mdadm.conf has their UUIDs.
static bool
s_tell_array(rmt_match_run_t *run, const rmt_record_t *content)
{
    const rmt_layout_t *layout = run->image->layout;
    const char *name = s_tail(rmt_record_text(content, "name", ""));
    if (!rmt_record_is(content, "kind", "array") || !*name)
        return false;
    for (size_t i = 0; i < layout->array_count; i++) {
        if (!layout->arrays[i].name || strcmp(s_tail(layout->arrays[i].name), name) != 0)
            continue;
        rmt_auto_str disk = s_disk_words(run->target, content);
        rmt_auto_str text = rmt_text(
            "%s, which stays, has an array that is called %.32s as one of the image's on "
            "another host: mdadm.conf of the image must name its arrays by UUID",
            disk, name);
        s_warn(run, name, text);
        return true;
    }
    return false;
}

// The image does not tell whether its fstab goes by labels.
static bool
s_tell_label(rmt_match_run_t *run, const rmt_record_t *content)
{
    const rmt_layout_t *layout = run->image->layout;
    const char *label = rmt_record_text(content, "name", "");
    for (size_t i = 0; *label && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (!volume->mount || !rmt_record_is(volume->format, "label", label))
            continue;
        rmt_auto_str disk = s_disk_words(run->target, content);
        rmt_auto_str text =
            rmt_text("%s, which stays, has the label '%.60s' of the image's %s: if a "
                     "line of fstab goes by that label, change it to the UUID",
                     disk, label, volume->mount);
        s_warn(run, label, text);
        return true;
    }
    return false;
}

// Groups and arrays of others, of which a part is erased and a part stays.
static void
s_tell_torn(rmt_match_run_t *run, const rmt_record_t *content)
{
    const char *kind = rmt_record_text(content, "kind", "");
    const char *uuid = rmt_record_text(content, "uuid", "");
    if ((strcmp(kind, "group") != 0 && strcmp(kind, "array") != 0) || !*uuid)
        return;
    for (size_t i = 0; i < rmt_records_count(run->target); i++) {
        const rmt_record_t *other = rmt_records_at(run->target, i);
        if (!rmt_record_is(other, "class", "content") ||
            !rmt_record_is(other, "kind", kind) || !rmt_record_is(other, "uuid", uuid) ||
            s_is_chosen(run->verdicts, other))
            continue;
        rmt_auto_str words = s_words(content);
        rmt_auto_str erased = s_disk_words(run->target, content);
        rmt_auto_str kept = s_disk_words(run->target, other);
        rmt_auto_str text =
            rmt_text("%s has a part on %s, which is erased, and one on %s, which stays",
                     words, erased, kept);
        s_warn(run, words, text);
        return;
    }
}

static size_t
s_count_choices(const rmt_match_run_t *run)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(run->verdicts); i++)
        count += rmt_record_is(rmt_records_at(run->verdicts, i), "class", "choice");
    return count;
}

void
rmt_match_other_disks(rmt_match_run_t *run)
{
    const rmt_layout_t *layout = run->image->layout;
    // Which disks stay is known when all roles have theirs.
    if (!layout || s_count_choices(run) < layout->disk_count)
        return;
    rmt_auto_str reason = rmt_match_twins(layout, run->target, run->verdicts);
    if (reason) {
        rmt_match_verdict(run, "other-disks", "", "", false, reason);
        return;
    }
    const char *told = ""; // The disk of the last warning: one of each will do
    for (size_t i = 0; i < rmt_records_count(run->target); i++) {
        const rmt_record_t *content = rmt_records_at(run->target, i);
        if (!rmt_record_is(content, "class", "content"))
            continue;
        if (s_is_chosen(run->verdicts, content))
            s_tell_torn(run, content);
        else if (!rmt_record_is(content, "disk", told) &&
                 (s_tell_twin(run, content) || s_tell_array(run, content) ||
                  s_tell_label(run, content)))
            told = rmt_record_text(content, "disk", "");
    }
}
