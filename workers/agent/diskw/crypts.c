#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"
#include "disk/rmt_luks.h"

#include <inttypes.h>
#include <string.h>

int
rmt_work_take_secret(rmt_work_t *self, const rmt_record_t *secret, rmt_error_t *error)
{
    const char *text = rmt_record_text(secret, "passphrase", "");
    if (rmt_box_check_passphrase(text, error) == -1)
        return -1;
    rmt_secret_free(&self->passphrase);
    self->passphrase = rmt_text("%s", text);
    return 0;
}

typedef struct {
    const rmt_layout_crypt_t *crypt;
    const char *device, *passphrase;
    uint8_t key[RMT_LUKS_KEY_MAX];
} format_t;

static int
s_run_format(void *context, rmt_error_t *error)
{
    format_t *self = context;
    return rmt_luks_format(self->crypt, self->device, self->passphrase, self->key, error);
}

static int
s_show(rmt_work_t *self, size_t index, const rmt_crypt_setup_t *setup, uint32_t sector,
       rmt_error_t *error)
{
    rmt_work_crypt_t *shown = &self->crypts[index];
    rmt_auto_str name = rmt_text("crypt-%zu", index);
    shown->crypt = rmt_crypt_new(setup);
    shown->blocks = rmt_crypt_blocks(shown->crypt);
    shown->disk = rmt_scratch_show(self->scratch, name, &shown->blocks, sector, 0, error);
    return shown->disk ? 0 : -1;
}

// The kernel forgets the partition again, and with that what it keeps of it: the header
// is on the disk, and its data is written through the whole disk.
static int
s_format(format_t *format, rmt_work_disk_t *disk, const rmt_layout_partition_t *written,
         rmt_error_t *error)
{
    rmt_auto_str device = rmt_blockdev_partition(disk->device, (uint32_t) written->number,
                                                 written->start, written->size, error);
    format->device = device;
    return device && rmt_filter_run(s_run_format, format, error) == 0
               ? rmt_blockdev_remove(disk->device, (uint32_t) written->number, error)
               : -1;
}

static int
s_make(rmt_work_t *self, size_t index, rmt_work_disk_t *disk, rmt_error_t *error)
{
    const rmt_layout_crypt_t *crypt = &self->layout->crypts[index];
    const rmt_layout_partition_t *written =
        rmt_layout_find_partition(disk->layout, 0, crypt->partition);
    const uint64_t sector = disk->ordered->sector;
    format_t format = {.crypt = crypt, .passphrase = self->passphrase};
    const uint64_t bytes = written->size * sector - crypt->data_start;
    const rmt_crypt_setup_t setup = {.fd = rmt_blockdev_fd(disk->device),
                                     .offset =
                                         written->start * sector + crypt->data_start,
                                     .bytes = bytes - bytes % crypt->sector,
                                     .sector = (uint32_t) crypt->sector,
                                     .key = format.key,
                                     .key_bytes = crypt->key_bytes};
    const uint32_t shown = (uint32_t) (crypt->sector > sector ? crypt->sector : sector);
    const int rc = s_format(&format, disk, written, error) == 0
                       ? s_show(self, index, &setup, shown, error)
                       : -1;
    explicit_bzero(format.key, sizeof format.key);
    return rc;
}

int
rmt_work_make_crypts(rmt_work_t *self, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    for (size_t i = 0; i < layout->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &layout->crypts[i];
        rmt_work_disk_t *disk = rmt_work_disk_of(self, crypt->disk);
        if (!disk || !self->passphrase)
            return rmt_fail(error, RMT_E_USAGE,
                            "the order names no %s for encrypted partition %" PRIu64
                            " of role '%s'",
                            disk ? "passphrase" : "disk", crypt->partition,
                            layout->disks[crypt->disk].role);
        self->at = disk;
        if (s_make(self, i, disk, error) == -1)
            return rmt_wrap(error, "encrypted partition %" PRIu64, crypt->partition);
    }
    rmt_secret_free(&self->passphrase);
    return 0;
}

int
rmt_work_flush_crypts(rmt_work_t *self, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->crypt_count; i++)
        if (rmt_fuse_disk_flush(self->crypts[i].disk, error) == -1)
            return rmt_wrap(error, "encrypted partition %" PRIu64,
                            self->layout->crypts[i].partition);
    return 0;
}

void
rmt_work_close_crypts(rmt_work_t *self)
{
    for (size_t i = 0; i < RMT_LAYOUT_CRYPTS_MAX; i++) {
        rmt_fuse_disk_destroy(&self->crypts[i].disk);
        rmt_crypt_destroy(&self->crypts[i].crypt);
    }
    rmt_secret_free(&self->passphrase);
}
