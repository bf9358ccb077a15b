#include "archive/rmt_archive_acl.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The kernel's form: a version, then entries of tag, permissions, id; little-endian.
#define ACL_VERSION 2
#define HEAD_SIZE 4
#define ENTRY_SIZE 8
#define NO_ID UINT32_MAX

static const struct {
    int archive;
    uint16_t kernel;
    bool has_id;
} s_tags[] = {
    // In the order that the kernel asks for.
    {ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01, false},  {ARCHIVE_ENTRY_ACL_USER, 0x02, true},
    {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04, false}, {ARCHIVE_ENTRY_ACL_GROUP, 0x08, true},
    {ARCHIVE_ENTRY_ACL_MASK, 0x10, false},      {ARCHIVE_ENTRY_ACL_OTHER, 0x20, false},
};
#define TAG_COUNT (sizeof s_tags / sizeof *s_tags)
#define KERNEL_MASK 0x10

typedef struct {
    size_t tag; // Index in s_tags
    uint16_t permissions;
    uint32_t id;
} s_ace_t;

// ---- To the archive

static size_t
s_find_kernel_tag(uint16_t tag)
{
    size_t i = 0;
    while (i < TAG_COUNT && s_tags[i].kernel != tag)
        i++;
    return i;
}

// libarchive counts in int: a larger number goes as the name, as which it is read by
// every user. Else there is no name, for an empty one would be written too.
static void
s_add(struct archive_entry *to, int type, int permissions, size_t tag, uint32_t id)
{
    char digits[16];
    const bool is_large = s_tags[tag].has_id && id > INT_MAX;
    snprintf(digits, sizeof digits, "%" PRIu32, id);
    archive_entry_acl_add_entry(to, type, permissions, s_tags[tag].archive,
                                s_tags[tag].has_id && !is_large ? (int) id : -1,
                                is_large ? digits : NULL);
}

int
rmt_archive_acl_put(struct archive_entry *to, const rmt_xattr_t *xattr,
                    rmt_error_t *error)
{
    const uint8_t *data = xattr->value;
    uint32_t version = 0;
    if (xattr->value_size >= HEAD_SIZE)
        memcpy(&version, data, sizeof version);
    if (le32toh(version) != ACL_VERSION ||
        (xattr->value_size - HEAD_SIZE) % ENTRY_SIZE != 0)
        return rmt_fail(error, RMT_E_CORRUPT, "%s is not an ACL", xattr->name);
    const int type = strcmp(xattr->name, RMT_ACL_DEFAULT) == 0
                         ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT
                         : ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
    for (size_t at = HEAD_SIZE; at < xattr->value_size; at += ENTRY_SIZE) {
        uint16_t kernel_tag, permissions;
        uint32_t id;
        memcpy(&kernel_tag, data + at, 2);
        memcpy(&permissions, data + at + 2, 2);
        memcpy(&id, data + at + 4, 4);
        const size_t tag = s_find_kernel_tag(le16toh(kernel_tag));
        if (tag == TAG_COUNT)
            return rmt_fail(error, RMT_E_CORRUPT, "%s has an unknown tag", xattr->name);
        s_add(to, type, le16toh(permissions) & 7, tag, le32toh(id));
    }
    return 0;
}

// ---- From the archive

int
rmt_archive_acl_mask(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t at = HEAD_SIZE; at + ENTRY_SIZE <= size; at += ENTRY_SIZE) {
        uint16_t tag, permissions;
        memcpy(&tag, bytes + at, 2);
        memcpy(&permissions, bytes + at + 2, 2);
        if (le16toh(tag) == KERNEL_MASK)
            return le16toh(permissions) & 7;
    }
    return -1;
}

static int
s_compare(const void *a, const void *b)
{
    const s_ace_t *one = a;
    const s_ace_t *two = b;
    if (one->tag != two->tag)
        return one->tag < two->tag ? -1 : 1;
    return one->id < two->id ? -1 : one->id > two->id;
}

// A number may stand where a name is meant; one beyond int comes with the largest of
// these.
static int
s_read_id(int qualifier, const char *name, uint32_t *id_out, rmt_error_t *error)
{
    char *end = NULL;
    const unsigned long number = name ? strtoul(name, &end, 10) : 0;
    const bool is_number = name && *name && !*end && number < NO_ID;
    if (qualifier != -1 && !(is_number && qualifier == INT_MAX)) {
        *id_out = (uint32_t) qualifier;
        return 0;
    }
    if (!is_number)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the ACL names '%.64s' without its number; pack the archive "
                        "again with GNU tar's --xattrs --xattrs-include='*'",
                        name ? name : "");
    *id_out = (uint32_t) number;
    return 0;
}

static int
s_read_aces(struct archive_entry *from, int type, s_ace_t *aces, size_t *count,
            rmt_error_t *error)
{
    int found_type, permissions, archive_tag, qualifier;
    const char *name;
    for (*count = 0; archive_entry_acl_next(from, type, &found_type, &permissions,
                                            &archive_tag, &qualifier, &name) == 0;) {
        size_t tag = 0;
        while (tag < TAG_COUNT && s_tags[tag].archive != archive_tag)
            tag++;
        if (tag == TAG_COUNT)
            return rmt_fail(error, RMT_E_UNSUPPORTED, "the ACL is not a POSIX ACL");
        s_ace_t *ace = &aces[(*count)++];
        *ace = (s_ace_t){tag, (uint16_t) (permissions & 7), NO_ID};
        if (s_tags[tag].has_id && s_read_id(qualifier, name, &ace->id, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_archive_acl_get(struct archive_entry *from, bool is_default, void **data_out,
                    uint32_t *size_out, rmt_error_t *error)
{
    const int type =
        is_default ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT : ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
    const int expected = archive_entry_acl_reset(from, type);
    *data_out = NULL;
    if (expected <= 0)
        return 0;
    rmt_auto_ptr room = calloc((size_t) expected + 4, sizeof(s_ace_t));
    assert(room);
    s_ace_t *aces = room;
    size_t count = 0;
    if (s_read_aces(from, type, aces, &count, error) == -1)
        return -1;
    qsort(aces, count, sizeof *aces, s_compare);
    uint8_t *data = malloc(HEAD_SIZE + count * ENTRY_SIZE);
    assert(data);
    const uint32_t version = htole32(ACL_VERSION);
    memcpy(data, &version, sizeof version);
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = data + HEAD_SIZE + i * ENTRY_SIZE;
        const uint16_t tag = htole16(s_tags[aces[i].tag].kernel);
        const uint16_t permissions = htole16(aces[i].permissions);
        const uint32_t id = htole32(aces[i].id);
        memcpy(at, &tag, 2);
        memcpy(at + 2, &permissions, 2);
        memcpy(at + 4, &id, 4);
    }
    *data_out = data;
    *size_out = (uint32_t) (HEAD_SIZE + count * ENTRY_SIZE);
    return 0;
}
