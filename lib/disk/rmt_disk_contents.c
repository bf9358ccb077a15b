#include "disk/rmt_disk_contents.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_gpt.h"
#include "disk/rmt_lvm_text.h"
#include "disk/rmt_md.h"
#include "disk/rmt_pv.h"

#include <assert.h>
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SECTOR ((uint64_t) 512) // In which blkid counts, whatever the device has
#define SIGNATURES_MAX 64       // In one place: some file systems have many copies

typedef struct {
    int fd;
    uint32_t sector;
    const char *disk;
    rmt_records_t *records;
} reading_t;

static void
s_free_probe(blkid_probe *probe)
{
    blkid_free_probe(*probe);
}

#define s_auto_probe __attribute__((cleanup(s_free_probe))) blkid_probe

static blkid_probe
s_new_probe(const reading_t *self, uint64_t offset, uint64_t size, rmt_error_t *error)
{
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        abort();
    errno = EIO; // Where blkid gives none
    if (blkid_probe_set_device(probe, self->fd, (blkid_loff_t) offset,
                               (blkid_loff_t) size) == 0 &&
        blkid_probe_set_sectorsize(probe, self->sector) == 0)
        return probe;
    rmt_fail_errno(error, "probe disk %s", self->disk);
    blkid_free_probe(probe);
    return NULL;
}

static void
s_add(const reading_t *self, const char *kind, const char *uuid, const char *name)
{
    rmt_record_t *content = rmt_records_add(self->records);
    rmt_record_set(content, "class", "content");
    rmt_record_set(content, "disk", self->disk);
    rmt_record_set(content, "kind", kind);
    if (uuid && *uuid)
        rmt_record_set(content, "uuid", uuid);
    if (name && *name)
        rmt_record_set(content, "name", name);
}

// ---- Layers

static void
s_add_physical(const reading_t *self, uint64_t offset)
{
    rmt_pv_t pv;
    rmt_error_t ignored = {0};
    if (rmt_pv_read(self->fd, offset, &pv, &ignored) == -1)
        return;
    s_add(self, "physical", pv.uuid, NULL);
    rmt_auto(rmt_lvm_node) text = pv.text ? rmt_lvm_text_parse(pv.text, &ignored) : NULL;
    const rmt_lvm_node_t *group = rmt_lvm_text_group(text);
    if (group)
        s_add(self, "group", rmt_lvm_node_text(group, "id"), group->name);
    rmt_pv_clear(&pv);
}

// One that is being reshaped, or has what ramet does not carry, is known by blkid alone.
static void
s_add_member(const reading_t *self, uint64_t offset, uint64_t size, const char *uuid,
             const char *name)
{
    rmt_md_t md;
    char text[RMT_MD_UUID_SIZE];
    rmt_error_t ignored = {0};
    if (rmt_md_read(self->fd, offset, size, &md, &ignored) == -1) {
        s_add(self, "array", uuid, name);
        return;
    }
    rmt_md_show_uuid(md.array.uuid, text);
    s_add(self, "array", text, md.array.name);
    s_add_physical(self, offset + md.data_start);
}

// ---- Each place

static const char *
s_value(blkid_probe probe, const char *name)
{
    const char *value = NULL;
    return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 ? value : "";
}

// Of several signatures any may be the one that a system believes.
static int
s_read_place(const reading_t *self, uint64_t offset, uint64_t size, rmt_error_t *error)
{
    s_auto_probe probe = s_new_probe(self, offset, size, error);
    if (!probe)
        return -1;
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID |
                                                 BLKID_SUBLKS_LABEL);
    const uint64_t bytes = (uint64_t) blkid_probe_get_size(probe);
    int rc = 0;
    for (int i = 0; i < SIGNATURES_MAX && (rc = blkid_do_probe(probe)) == 0; i++) {
        const char *type = s_value(probe, "TYPE");
        const char *uuid = s_value(probe, "UUID"), *label = s_value(probe, "LABEL");
        if (strcmp(type, "LVM2_member") == 0)
            s_add_physical(self, offset);
        else if (strcmp(type, "linux_raid_member") == 0)
            s_add_member(self, offset, bytes, uuid, label);
        else if (*type)
            s_add(self, type, uuid, label);
    }
    if (rc >= 0)
        return 0;
    errno = rc == -1 ? EIO : -rc;
    return rmt_fail_errno(error, "probe disk %s", self->disk);
}

static int
s_read_partition(const reading_t *self, blkid_partition partition, uint64_t bytes,
                 rmt_error_t *error)
{
    const uint64_t start = (uint64_t) blkid_partition_get_start(partition) * SECTOR;
    const uint64_t size = (uint64_t) blkid_partition_get_size(partition) * SECTOR;
    const char *guid = blkid_partition_get_uuid(partition);
    if (guid && *guid)
        s_add(self, "partition", guid, blkid_partition_get_name(partition));
    // An old table may be that of a larger disk.
    if (size == 0 || start >= bytes || blkid_partition_is_extended(partition))
        return 0;
    return s_read_place(self, start, size < bytes - start ? size : bytes - start, error);
}

static int
s_read_table(const reading_t *self, rmt_error_t *error)
{
    s_auto_probe probe = s_new_probe(self, 0, 0, error);
    if (!probe)
        return -1;
    if (rmt_gpt_check(self->fd, 0, 0, self->disk, error) == -1)
        return -1;
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_FORCE_GPT);
    const uint64_t bytes = (uint64_t) blkid_probe_get_size(probe);
    const int rc = blkid_do_fullprobe(probe);
    if (rc < 0) {
        errno = rc == -1 ? EIO : -rc;
        return rmt_fail_errno(error, "find the partitions of disk %s", self->disk);
    }
    blkid_partlist list = rc == 0 ? blkid_probe_get_partitions(probe) : NULL;
    const int count = list ? blkid_partlist_numof_partitions(list) : 0;
    for (int i = 0; i < count; i++)
        if (s_read_partition(self, blkid_partlist_get_partition(list, i), bytes, error) ==
            -1)
            return -1;
    return 0;
}

int
rmt_disk_contents(const char *path, const char *disk, uint32_t sector,
                  rmt_records_t *records, rmt_error_t *error)
{
    assert(path && disk && records);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open disk %s", path);
    const reading_t self = {.fd = fd, .sector = sector, .disk = disk, .records = records};
    return s_read_place(&self, 0, 0, error) == -1 ? -1 : s_read_table(&self, error);
}
