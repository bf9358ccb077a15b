// Partitions that LUKS encrypts.
#include "facts/rmt_layout.h"

#include <inttypes.h>
#include <string.h>

#define NAME_CHARACTERS                                                                  \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-"
#define HEX "0123456789abcdefABCDEF-"
#define UUID_LENGTH 36
#define WORD_LENGTH 64 // Of a name, a hash
#define LABEL_LENGTH 47

// ---- Finding

static const rmt_layout_crypt_t *
s_find(const rmt_layout_t *self, size_t disk, uint64_t partition)
{
    for (size_t i = 0; i < self->crypt_count; i++)
        if (self->crypts[i].disk == disk && self->crypts[i].partition == partition)
            return &self->crypts[i];
    return NULL;
}

const rmt_layout_crypt_t *
rmt_layout_crypt_of(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    return s_find(self, volume->disk, volume->partition);
}

const rmt_layout_crypt_t *
rmt_layout_crypt_around(const rmt_layout_t *self, const rmt_layout_physical_t *physical)
{
    return *physical->array ? NULL : s_find(self, physical->disk, physical->partition);
}

const rmt_layout_crypt_t *
rmt_layout_crypt_below(const rmt_layout_t *self, const rmt_layout_volume_t *volume)
{
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(self, volume);
    const rmt_layout_crypt_t *crypt =
        !logical          ? rmt_layout_crypt_of(self, volume)
        : *logical->array ? NULL
                          : s_find(self, logical->disk, logical->partition);
    for (size_t i = 0; logical && !crypt && i < self->piece_count; i++) {
        const rmt_layout_piece_t *piece = &self->pieces[i];
        if (&self->logicals[piece->logical] == logical && !*piece->array)
            crypt = s_find(self, piece->disk, piece->partition);
    }
    return crypt;
}

uint64_t
rmt_layout_crypt_bytes(const rmt_layout_t *self, size_t disk, uint64_t partition)
{
    const rmt_layout_crypt_t *crypt = s_find(self, disk, partition);
    return crypt ? crypt->data_start : 0;
}

// ---- Checking

static int
s_refuse(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt, rmt_error_t *error,
         const char *what)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "the layout's encrypted partition %" PRIu64 " of disk '%s' %s",
                    crypt->partition, self->disks[crypt->disk].role, what);
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
        (crypt->key_bytes != 32 && crypt->key_bytes != 64))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "partition %" PRIu64 " of disk '%s' is encrypted by %.40s with "
                        "a key of %" PRIu64 " bytes, which is not supported; ramet "
                        "carries " RMT_LAYOUT_CIPHER " with 32 or 64",
                        crypt->partition, self->disks[crypt->disk].role, crypt->cipher,
                        crypt->key_bytes);
    return 0;
}

static int
s_check_crypt(const rmt_layout_t *self, const rmt_layout_crypt_t *crypt,
              rmt_error_t *error)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self, crypt->disk, crypt->partition);
    if (!partition || rmt_layout_is_extended(partition) ||
        s_find(self, crypt->disk, crypt->partition) != crypt)
        return s_refuse(self, crypt, error, "is not there, or there twice");
    if (rmt_layout_find_member(self, crypt->disk, crypt->partition))
        return s_refuse(self, crypt, error, "is a member of an array too");
    const uint64_t sector = self->disks[crypt->disk].sector;
    const uint64_t bytes = partition->size * sector;
    const uint64_t least = partition->min_size * sector;
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
    for (size_t i = 0; i < self->crypt_count; i++)
        if (s_check_crypt(self, &self->crypts[i], error) == -1)
            return -1;
    return s_check_volumes(self, error);
}
