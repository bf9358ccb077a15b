#include "disk/rmt_md.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR ((uint64_t) 512)
#define SUPER_SIZE ((uint64_t) 4096)
#define MAGIC 0xa92b4efcu

// Version 1: places of its fields
#define ONE_HEAD 256 // Before the table of devices
#define ONE_DEVICES_MAX ((SUPER_SIZE - ONE_HEAD) / 2)
#define ONE_SUM 216
#define FEATURE_BITMAP 1u
#define FEATURE_RECOVERY 2u
#define FEATURE_LAYOUT_0 4096u
#define FEATURES_READ (FEATURE_BITMAP | FEATURE_RECOVERY | FEATURE_LAYOUT_0)
#define TIME_MASK (((uint64_t) 1 << 40) - 1) // Seconds; the rest is microseconds
#define ALL_SECTORS UINT64_MAX

// Version 0.90: numbers of its words
#define OLD_RESERVED ((uint64_t) 64 * 1024) // At the end of a member
#define OLD_MINOR_VERSION 90
#define OLD_SUM 38
#define OLD_DISKS 128
#define OLD_DISK_WORDS 32
#define OLD_DISKS_MAX 27
#define OLD_THIS 992
#define OLD_CLEAN 1u
#define OLD_BITMAP (1u << 8)
#define OLD_FAULTY 1u
#define OLD_ACTIVE_IN_SYNC 6u

const char *
rmt_md_version_name(rmt_md_version_t version)
{
    static const char *const names[] = {"0.90", "1.0", "1.1", "1.2"};
    return version < sizeof names / sizeof *names ? names[version] : NULL;
}

void
rmt_md_show_uuid(const uint8_t uuid[16], char text[RMT_MD_UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 16; i++) {
        if (i && i % 4 == 0)
            *text++ = ':';
        *text++ = digits[uuid[i] >> 4];
        *text++ = digits[uuid[i] & 15];
    }
    *text = '\0';
}

// Where the superblock lies in a member of so many bytes. NULL: there is no space.
static bool
s_find_place(rmt_md_version_t version, uint64_t bytes, uint64_t *place_out)
{
    if (bytes < 2 * OLD_RESERVED)
        return false;
    switch (version) {
    case RMT_MD_0_90:
        *place_out = bytes / OLD_RESERVED * OLD_RESERVED - OLD_RESERVED;
        return true;
    case RMT_MD_1_0:
        *place_out = (bytes / SECTOR - 16) / 8 * 8 * SECTOR;
        return true;
    case RMT_MD_1_1:
        *place_out = 0;
        return true;
    default:
        *place_out = SUPER_SIZE;
        return true;
    }
}

uint64_t
rmt_md_space(rmt_md_version_t version, uint64_t bytes, uint64_t data_start)
{
    uint64_t end;
    if (!s_find_place(version, bytes, &end))
        return 0;
    if (version == RMT_MD_1_1 || version == RMT_MD_1_2)
        end = bytes / SECTOR * SECTOR;
    return end > data_start ? end - data_start : 0;
}

// The sum of its numbers of 32 bits, and of a last one of 16, with what goes over.
static uint32_t
s_sum(const uint8_t *super, size_t size)
{
    uint64_t sum = 0;
    for (; size >= 4; size -= 4, super += 4)
        sum += rmt_get32(super);
    if (size == 2)
        sum += rmt_get16(super);
    return (uint32_t) ((sum & UINT32_MAX) + (sum >> 32));
}

static int
s_refuse(rmt_error_t *error, const char *what)
{
    return rmt_fail(error, RMT_E_CORRUPT, "the superblock of md has %s", what);
}

// ---- Version 1

static int
s_check_features(uint32_t features, rmt_error_t *error)
{
    static const struct {
        uint32_t bit;
        const char *words;
    } rows[] = {
        {4, "is being reshaped; wait until mdadm --wait ends"},
        {8, "has bad blocks; see mdadm --examine-badblocks, and replace the disk"},
        {16, "has a member that is being replaced; wait until mdadm --wait ends"},
        {64, "is being reshaped; wait until mdadm --wait ends"},
        {128, "is being filled by its bitmap; wait until mdadm --wait ends"},
        {256, "belongs to a cluster, which is not supported"},
        {512, "has a journal, which is not supported; take it away with mdadm --grow "
              "--consistency-policy=resync"},
        {1024, "has a partial parity log, which is not supported; take it away with "
               "mdadm --grow --consistency-policy=resync"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (features & rows[i].bit)
            return rmt_fail(error, RMT_E_UNSUPPORTED, "the array of md %s",
                            rows[i].words);
    if (features & ~FEATURES_READ)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the array of md has features 0x%x, which are not known",
                        features & ~FEATURES_READ);
    return 0;
}

// Where data can begin behind a superblock that lies at the start of a member.
static uint64_t
s_head_end(rmt_md_version_t version)
{
    return version == RMT_MD_1_1   ? SUPER_SIZE
           : version == RMT_MD_1_2 ? 2 * SUPER_SIZE
                                   : 0;
}

// Numbers that do not contradict each other, whichever version has them.
static int
s_check(const rmt_md_t *md, uint64_t bytes, rmt_error_t *error)
{
    const rmt_md_array_t *array = &md->array;
    const uint64_t space = rmt_md_space(array->version, bytes, md->data_start);
    const uint32_t most =
        array->version == RMT_MD_0_90 ? OLD_DISKS_MAX : RMT_MD_MEMBERS_MAX;
    if (array->count == 0 || array->count > most)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the array of md has %u members; ramet carries 1 to %u",
                        array->count, most);
    if (md->data_size == 0 || md->data_size > space || array->size > md->data_size)
        return s_refuse(error, "data outside of its member");
    if (md->data_start < s_head_end(array->version))
        return s_refuse(error, "data that lies over it");
    if (array->chunk % SECTOR || array->chunk > UINT32_MAX)
        return s_refuse(error, "chunks of a size that cannot be");
    if (md->slot >= array->count && md->slot < RMT_MD_SLOT_FAULTY)
        return s_refuse(error, "a slot that its array has not");
    return 0;
}

static void
s_get_slots(const uint8_t *table, size_t count, rmt_md_t *md)
{
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++)
        md->slots[i] = i < count ? rmt_get16(table + i * 2) : RMT_MD_SLOT_SPARE;
}

static void
s_get_one(const uint8_t *super, rmt_md_t *md)
{
    rmt_md_array_t *array = &md->array;
    const uint32_t features = rmt_get32(super + 8);
    memcpy(array->uuid, super + 16, 16);
    memcpy(array->name, super + 32, 32);
    array->created = rmt_get64(super + 64) & TIME_MASK;
    array->level = (int32_t) rmt_get32(super + 72);
    array->layout = rmt_get32(super + 76);
    array->size = rmt_get64(super + 80) * SECTOR;
    array->chunk = rmt_get32(super + 88) * SECTOR;
    array->count = rmt_get32(super + 92);
    array->has_bitmap = features & FEATURE_BITMAP;
    if (array->level == 0 && !(features & FEATURE_LAYOUT_0))
        array->layout = 0;
    md->data_start = rmt_get64(super + 128) * SECTOR;
    md->data_size = rmt_get64(super + 136) * SECTOR;
    md->number = rmt_get32(super + 160);
    memcpy(md->uuid, super + 168, 16);
    array->updated = rmt_get64(super + 192) & TIME_MASK;
    array->events = rmt_get64(super + 200);
    const uint64_t sync = rmt_get64(super + 208);
    array->sync = sync == ALL_SECTORS ? RMT_MD_IN_SYNC : sync * SECTOR;
    md->is_partial = features & FEATURE_RECOVERY;
}

// Sectors of numbers that are counted in bytes here.
static bool
s_has_huge(const uint8_t *super)
{
    static const size_t fields[] = {80, 128, 136};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (rmt_get64(super + fields[i]) > (uint64_t) INT64_MAX / SECTOR)
            return true;
    return false;
}

static int
s_parse_one(const uint8_t *super, rmt_md_version_t version, uint64_t bytes,
            uint64_t place, rmt_md_t *md, rmt_error_t *error)
{
    uint8_t copy[SUPER_SIZE];
    const uint32_t count = rmt_get32(super + 220);
    if (count > ONE_DEVICES_MAX)
        return s_refuse(error, "too many devices");
    memcpy(copy, super, sizeof copy);
    rmt_put32(copy + ONE_SUM, 0);
    if (s_sum(copy, ONE_HEAD + count * 2) != rmt_get32(super + ONE_SUM))
        return s_refuse(error, "a wrong sum");
    if (rmt_get64(super + 144) != place / SECTOR || s_has_huge(super))
        return s_refuse(error, "another place than it says");
    if (s_check_features(rmt_get32(super + 8), error) == -1)
        return -1;
    *md = (rmt_md_t){.array.version = version};
    s_get_one(super, md);
    s_get_slots(super + ONE_HEAD, count, md);
    md->slot = md->number < count ? rmt_get16(super + ONE_HEAD + md->number * 2)
                                  : RMT_MD_SLOT_SPARE;
    return s_check(md, bytes, error);
}

static void
s_put_one(uint8_t *super, uint64_t place, const rmt_md_t *md)
{
    const rmt_md_array_t *array = &md->array;
    const bool has_layout_0 = array->level == 0 && array->layout;
    rmt_put32(super, MAGIC);
    rmt_put32(super + 4, 1);
    rmt_put32(super + 8, has_layout_0 ? FEATURE_LAYOUT_0 : 0);
    memcpy(super + 16, array->uuid, 16);
    memcpy(super + 32, array->name, strlen(array->name));
    rmt_put64(super + 64, array->created);
    rmt_put32(super + 72, (uint32_t) array->level);
    rmt_put32(super + 76, array->layout);
    rmt_put64(super + 80, array->size / SECTOR);
    rmt_put32(super + 88, (uint32_t) (array->chunk / SECTOR));
    rmt_put32(super + 92, array->count);
    rmt_put64(super + 128, md->data_start / SECTOR);
    rmt_put64(super + 136, md->data_size / SECTOR);
    rmt_put64(super + 144, place / SECTOR);
    rmt_put32(super + 160, md->number);
    memcpy(super + 168, md->uuid, 16);
    rmt_put64(super + 192, array->updated);
    rmt_put64(super + 200, array->events);
    rmt_put64(super + 208,
              array->sync == RMT_MD_IN_SYNC ? ALL_SECTORS : array->sync / SECTOR);
    rmt_put32(super + 220, RMT_MD_MEMBERS_MAX);
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++)
        rmt_put16(super + ONE_HEAD + i * 2, md->slots[i]);
    rmt_put32(super + ONE_SUM, s_sum(super, ONE_HEAD + RMT_MD_MEMBERS_MAX * 2));
}

// ---- Version 0.90

static uint32_t
s_word(const uint8_t *super, size_t index)
{
    return rmt_get32(super + index * 4);
}

static void
s_put_word(uint8_t *super, size_t index, uint32_t word)
{
    rmt_put32(super + index * 4, word);
}

// mdadm shows the words of its uuid as numbers.
static void
s_turn_word(const uint8_t *from, uint8_t *to)
{
    for (size_t i = 0; i < 4; i++)
        to[i] = from[3 - i];
}

static const size_t s_uuid_words[] = {5, 13, 14, 15};

static void
s_get_old_slots(const uint8_t *super, rmt_md_t *md)
{
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++) {
        const size_t at = OLD_DISKS + i * OLD_DISK_WORDS;
        md->slots[i] = RMT_MD_SLOT_SPARE;
        if (i >= OLD_DISKS_MAX)
            continue;
        const uint32_t state = s_word(super, at + 4), slot = s_word(super, at + 3);
        if (state & OLD_FAULTY)
            md->slots[i] = RMT_MD_SLOT_FAULTY;
        else if ((state & OLD_ACTIVE_IN_SYNC) == OLD_ACTIVE_IN_SYNC &&
                 slot < RMT_MD_SLOT_FAULTY)
            md->slots[i] = (uint16_t) slot;
    }
}

static void
s_get_old(const uint8_t *super, uint64_t place, rmt_md_t *md)
{
    rmt_md_array_t *array = &md->array;
    for (size_t i = 0; i < 4; i++)
        s_turn_word(super + s_uuid_words[i] * 4, array->uuid + i * 4);
    array->created = s_word(super, 6);
    array->level = (int32_t) s_word(super, 7);
    array->size = array->level > 0 ? (uint64_t) s_word(super, 8) * 1024 : 0;
    array->count = s_word(super, 10);
    array->minor = s_word(super, 11);
    array->updated = s_word(super, 32);
    const uint32_t state = s_word(super, 33);
    array->has_bitmap = state & OLD_BITMAP;
    array->events = (uint64_t) s_word(super, 40) << 32 | s_word(super, 39);
    const bool is_told =
        s_word(super, 39) == s_word(super, 41) && s_word(super, 40) == s_word(super, 42);
    array->sync = state & OLD_CLEAN ? RMT_MD_IN_SYNC
                  : is_told         ? s_word(super, 43) * SECTOR
                                    : 0;
    array->layout = s_word(super, 64);
    array->chunk = s_word(super, 65);
    if (array->level == 0)
        array->layout = 0;
    md->number = s_word(super, OLD_THIS);
    md->data_size = place;
    s_get_old_slots(super, md);
    md->slot =
        md->number < RMT_MD_MEMBERS_MAX ? md->slots[md->number] : RMT_MD_SLOT_SPARE;
}

static int
s_parse_old(const uint8_t *super, uint64_t bytes, uint64_t place, rmt_md_t *md,
            rmt_error_t *error)
{
    uint8_t copy[SUPER_SIZE];
    memcpy(copy, super, sizeof copy);
    s_put_word(copy, OLD_SUM, 0);
    if (s_sum(copy, sizeof copy) != s_word(super, OLD_SUM))
        return s_refuse(error, "a wrong sum");
    if (s_word(super, 2) != OLD_MINOR_VERSION)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the array of md has metadata 0.%u; ramet carries 0.90",
                        s_word(super, 2));
    *md = (rmt_md_t){.array.version = RMT_MD_0_90};
    s_get_old(super, place, md);
    return s_check(md, bytes, error);
}

static void
s_put_old_disk(uint8_t *super, size_t at, uint32_t number, uint32_t slot)
{
    s_put_word(super, at, number);
    s_put_word(super, at + 3, slot);
    s_put_word(super, at + 4, OLD_ACTIVE_IN_SYNC);
}

static void
s_put_old(uint8_t *super, const rmt_md_t *md)
{
    const rmt_md_array_t *array = &md->array;
    const bool is_clean = array->sync == RMT_MD_IN_SYNC;
    s_put_word(super, 0, MAGIC);
    s_put_word(super, 2, OLD_MINOR_VERSION);
    for (size_t i = 0; i < 4; i++)
        s_turn_word(array->uuid + i * 4, super + s_uuid_words[i] * 4);
    s_put_word(super, 6, (uint32_t) array->created);
    s_put_word(super, 7, (uint32_t) array->level);
    s_put_word(super, 8, (uint32_t) (array->size / 1024));
    s_put_word(super, 9, array->count);
    s_put_word(super, 10, array->count);
    s_put_word(super, 11, array->minor);
    s_put_word(super, 32, (uint32_t) array->updated);
    s_put_word(super, 33, is_clean ? OLD_CLEAN : 0);
    s_put_word(super, 34, array->count);
    s_put_word(super, 35, array->count);
    for (size_t i = 0; i < 2; i++) {
        s_put_word(super, 39 + i * 2, (uint32_t) array->events);
        s_put_word(super, 40 + i * 2, (uint32_t) (array->events >> 32));
    }
    s_put_word(super, 43, is_clean ? UINT32_MAX : (uint32_t) (array->sync / SECTOR));
    s_put_word(super, 64, array->layout);
    s_put_word(super, 65, (uint32_t) array->chunk);
    for (uint32_t i = 0; i < array->count; i++)
        s_put_old_disk(super, OLD_DISKS + i * OLD_DISK_WORDS, i, i);
    s_put_old_disk(super, OLD_THIS, md->number, md->slot);
    s_put_word(super, OLD_SUM, s_sum(super, SUPER_SIZE));
}

// ---- Both

static bool
s_is_version(const uint8_t *super, rmt_md_version_t version)
{
    return rmt_get32(super) == MAGIC && rmt_get32(super + 4) == (version != RMT_MD_0_90);
}

// 1: it is there, 0: it is not, -1: an error.
static int
s_read_version(int fd, uint64_t offset, uint64_t bytes, rmt_md_version_t version,
               rmt_md_t *md, rmt_error_t *error)
{
    uint8_t super[SUPER_SIZE];
    uint64_t place;
    if (!s_find_place(version, bytes, &place))
        return 0;
    // A running array writes it beside the cache of its member's node.
    (void) posix_fadvise(fd, (off_t) (offset + place), SUPER_SIZE, POSIX_FADV_DONTNEED);
    if (rmt_io_pread(fd, super, sizeof super, (off_t) (offset + place), error) == -1)
        return -1;
    if (!s_is_version(super, version))
        return 0;
    const int rc = version == RMT_MD_0_90
                       ? s_parse_old(super, bytes, place, md, error)
                       : s_parse_one(super, version, bytes, place, md, error);
    return rc == -1 ? -1 : 1;
}

int
rmt_md_read(int fd, uint64_t offset, uint64_t bytes, rmt_md_t *md_out, rmt_error_t *error)
{
    assert(md_out);
    bool is_found = false;
    for (rmt_md_version_t version = RMT_MD_0_90; version <= RMT_MD_1_2; version++) {
        rmt_md_t md;
        const int rc = s_read_version(fd, offset, bytes, version, &md, error);
        if (rc == -1)
            return -1;
        if (rc == 0 || (is_found && md.array.created < md_out->array.created))
            continue;
        *md_out = md;
        is_found = true;
    }
    return is_found
               ? 0
               : rmt_fail(error, RMT_E_NOT_FOUND, "it is not a member of an array of md");
}

int
rmt_md_write(int fd, uint64_t offset, uint64_t bytes, const rmt_md_t *md,
             rmt_error_t *error)
{
    uint8_t super[SUPER_SIZE] = {0};
    uint64_t place = 0;
    const bool has_space = s_find_place(md->array.version, bytes, &place);
    assert(has_space && md->array.count <= RMT_MD_MEMBERS_MAX);
    if (md->array.version == RMT_MD_0_90) {
        assert(md->array.count <= OLD_DISKS_MAX);
        s_put_old(super, md);
    } else {
        s_put_one(super, place, md);
    }
    return rmt_io_pwrite(fd, super, sizeof super, (off_t) (offset + place), error);
}
