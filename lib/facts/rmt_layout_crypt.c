// Partitions and logical volumes that LUKS encrypts.
#include "facts/rmt_layout.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <string.h>

#define NAME_CHARACTERS                                                                  \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-"
#define HEX "0123456789abcdefABCDEF-"
#define UUID_LENGTH 36
#define WORD_LENGTH 64 // Of a name, a hash
#define LABEL_LENGTH 47

// ---- Finding

// logical: "group/name"; NULL: a partition.
static const rmt_layout_crypt_t *
s_find(const rmt_layout_t *self, size_t disk, uint64_t partition, const char *logical)
{
    for (size_t i = 0; i < self->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &self->crypts[i];
        if (crypt->disk == disk && crypt->partition == partition &&
            strcmp(crypt->logical ? crypt->logical : "", logical ? logical : "") == 0)
            return crypt;
    }
    return NULL;
}

const rmt_layout_crypt_t *
rmt_layout_crypt_of(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    return volume->array ? NULL
                         : s_find(self, volume->disk, volume->partition, volume->logical);
}

const rmt_layout_crypt_t *
rmt_layout_crypt_around(const rmt_layout_t *self, const rmt_layout_physical_t *physical)
{
    return *physical->array ? NULL
                            : s_find(self, physical->disk, physical->partition, NULL);
}

bool
rmt_layout_is_in_crypt(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
                       const rmt_layout_crypt_t *crypt)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(self, volume);
    if (rmt_layout_crypt_of(self, volume) == crypt)
        return true;
    if (logical && !*logical->array &&
        s_find(self, logical->disk, logical->partition, NULL) == crypt)
        return true;
    for (size_t i = 0; logical && i < self->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->pieces[i];
        if (&self->logicals[piece->logical] == logical && !*piece->array &&
            s_find(self, piece->disk, piece->partition, NULL) == crypt)
            return true;
    }
    return false;
}

uint64_t
rmt_layout_crypt_bytes(const rmt_layout_t *self, size_t disk, uint64_t partition)
{
    const rmt_layout_crypt_t *crypt = s_find(self, disk, partition, NULL);
    return crypt ? crypt->data_start : 0;
}

uint64_t
rmt_layout_crypt_rest(const rmt_layout_t *self, const rmt_layout_volume_t *volume,
                      uint64_t bytes)
{
    const rmt_layout_crypt_t *crypt = rmt_layout_crypt_of(self, volume);
    const uint64_t header = crypt ? crypt->data_start : 0;
    return bytes > header ? bytes - header : 0;
}

char *
rmt_layout_crypt_words(const rmt_layout_crypt_t *crypt)
{
    return crypt->logical ? rmt_text("logical volume %.200s", crypt->logical)
                          : rmt_text("partition %" PRIu64, crypt->partition);
}

// ---- Checking

static int
s_refuse(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt, rmt_error_t *error,
         const char *what)
{
    rmt_auto_str words = rmt_layout_crypt_words(crypt);
    return rmt_fail(error, RMT_E_USAGE, "the layout's encrypted %s of disk '%s' %s",
                    words, self->disks[crypt->disk].role, what);
}

static bool
s_is_word(const char *text)
{
    const size_t size = strlen(text);
    return size > 0 && size <= WORD_LENGTH && text[0] != '-' &&
           strspn(text, NAME_CHARACTERS) == size;
}

static bool
s_is_label(const char *text)
{
    for (const char *at = text; *at; at++)
        if ((unsigned char) *at < ' ' || *at == 0x7f)
            return false;
    return strlen(text) <= LABEL_LENGTH;
}

static bool
s_is_pbkdf(const rmt_layout_crypt_t *crypt)
{
    return strcmp(crypt->pbkdf, "pbkdf2") == 0 ||
           (crypt->version == 2 && (strcmp(crypt->pbkdf, "argon2id") == 0 ||
                                    strcmp(crypt->pbkdf, "argon2i") == 0));
}

static int
s_check_words(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt,
              rmt_error_t *error)
{
    if (strlen(crypt->uuid) != UUID_LENGTH || strspn(crypt->uuid, HEX) != UUID_LENGTH)
        return s_refuse(self, crypt, error, "has a uuid of another form");
    if ((crypt->name && !s_is_word(crypt->name)) || !s_is_word(crypt->hash) ||
        (crypt->label && !s_is_label(crypt->label)) || !s_is_pbkdf(crypt))
        return s_refuse(self, crypt, error,
                        "has a name, label, hash or pbkdf that LUKS does not have");
    if (strcmp(crypt->cipher, RMT_LAYOUT_CIPHER) != 0 ||
        (crypt->key_bytes != 32 && crypt->key_bytes != 64)) {
        rmt_auto_str words = rmt_layout_crypt_words(crypt);
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "%s of disk '%s' is encrypted by %.40s with a key of %" PRIu64
                        " bytes, which is not supported; ramet carries " RMT_LAYOUT_CIPHER
                        " with 32 or 64",
                        words, self->disks[crypt->disk].role, crypt->cipher,
                        crypt->key_bytes);
    }
    return 0;
}

// What a partition or logical volume has, and may shrink to; 0: it may not.
typedef struct {
    uint64_t bytes, least;
} room_t;

static int
s_find_room(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt, room_t *room_out,
            rmt_error_t *error)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, crypt->disk, crypt->partition);
    if (!partition || crypt->logical || rmt_layout_is_extended(partition))
        return s_refuse(self, crypt, error, "is not there, or there twice");
    if (rmt_layout_find_member(self, crypt->disk, crypt->partition))
        return s_refuse(self, crypt, error, "is a member of an array too");
    const uint64_t sector = self->disks[crypt->disk].sector;
    *room_out = (room_t){partition->size * sector, partition->min_size * sector};
    return 0;
}

static int
s_find_logical_room(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt,
                    room_t *room_out, rmt_error_t *error)
{
    const rmt_layout_logical_t *logical = rmt_layout_find_logical(self, crypt->logical);
    if (!logical || crypt->partition || logical->disk != crypt->disk)
        return s_refuse(self, crypt, error, "is not there, or on another disk");
    const uint64_t extent = self->groups[logical->group].extent_size;
    if (extent % crypt->sector)
        return s_refuse(self, crypt, error,
                        "has sectors or a start of its data that cannot be");
    *room_out = (room_t){logical->extents * extent, logical->min_extents * extent};
    return 0;
}

static int
s_check_crypt(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt,
              const room_t *room, rmt_error_t *error)
{
    const uint64_t bytes = room->bytes, least = room->least;
    if (s_find(self, crypt->disk, crypt->partition, crypt->logical) != crypt)
        return s_refuse(self, crypt, error, "is not there, or there twice");
    if ((crypt->sector & (crypt->sector - 1)) || crypt->data_start % crypt->sector ||
        (crypt->version == 1 && crypt->sector != 512) ||
        crypt->data_start + crypt->sector > bytes || bytes % crypt->sector)
        return s_refuse(self, crypt, error,
                        "has sectors or a start of its data that cannot be");
    if (least && (crypt->data_start + crypt->sector > least || least % crypt->sector))
        return s_refuse(self, crypt, error,
                        "may shrink below its data, or to no multiple of its sectors");
    return s_check_words(self, crypt, error);
}

// A raw volume is the partition itself.
static int
s_check_volumes(const rmt_layout_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_layout_crypt_t *crypt = rmt_layout_crypt_of(self, &self->volumes[i]);
        if (crypt && self->volumes[i].fs == RMT_FS_RAW)
            return s_refuse(self, crypt, error, "has a raw volume");
    }
    return 0;
}

int
rmt_layout_check_crypts(const rmt_layout_t *self, rmt_error_t *error)
{
    room_t room = {0};
    for (size_t i = 0; i < self->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &self->crypts[i];
        if (!crypt->logical && (s_find_room(self, crypt, &room, error) == -1 ||
                                s_check_crypt(self, crypt, &room, error) == -1))
            return -1;
    }
    return s_check_volumes(self, error);
}

int
rmt_layout_check_inner_crypts(const rmt_layout_t *self, rmt_error_t *error)
{
    room_t room = {0};
    for (size_t i = 0; i < self->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &self->crypts[i];
        if (crypt->logical && (s_find_logical_room(self, crypt, &room, error) == -1 ||
                               s_check_crypt(self, crypt, &room, error) == -1))
            return -1;
    }
    return 0;
}
