#include "agent/diskw/work.h"
#include "agent/diskw/filter.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"
#include "disk/rmt_luks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

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

// below: on what the encryption lies; its format is run on a device of that range.
static int
s_show_new(rmt_work_t *self, size_t index, format_t *format, const rmt_layout_run_t *run,
           int below, uint32_t sector, rmt_error_t *error)
{
    const rmt_layout_crypt_t *crypt = &self->layout->crypts[index];
    const uint64_t bytes = run->size - crypt->data_start;
    const rmt_crypt_setup_t setup = {.fd = below,
                                     .offset = run->start + crypt->data_start,
                                     .bytes = bytes - bytes % crypt->sector,
                                     .sector = (uint32_t) crypt->sector,
                                     .key = format->key,
                                     .key_bytes = crypt->key_bytes};
    return s_show(self, index, &setup,
                  (uint32_t) (crypt->sector > sector ? crypt->sector : sector), error);
}

static int
s_make(rmt_work_t *self, size_t index, rmt_work_disk_t *disk, rmt_error_t *error)
{
    const rmt_layout_crypt_t *crypt = &self->layout->crypts[index];
    const rmt_layout_partition_t *written =
        rmt_layout_find_partition(disk->layout, 0, crypt->partition);
    const uint64_t sector = disk->ordered->sector;
    format_t format = {.crypt = crypt, .passphrase = self->passphrase};
    const rmt_layout_run_t run = {written->start * sector, written->size * sector};
    const int rc =
        s_format(&format, disk, written, error) == 0
            ? s_show_new(self, index, &format, &run, rmt_blockdev_fd(disk->device),
                         (uint32_t) sector, error)
            : -1;
    explicit_bzero(format.key, sizeof format.key);
    return rc;
}

// Of the disks of a layout the largest: a logical volume may lie on any.
static uint32_t
s_sector(const rmt_layout_t *layout)
{
    uint64_t sector = 0;
    for (size_t i = 0; i < layout->disk_count; i++)
        if (layout->disks[i].sector > sector)
            sector = layout->disks[i].sector;
    return (uint32_t) sector;
}

// Header and data go through one device.
static int
s_make_inner(rmt_work_t *self, size_t index, rmt_error_t *error)
{
    const rmt_layout_crypt_t *crypt = &self->layout->crypts[index];
    rmt_auto_str device = rmt_work_device_of_logical(
        self, rmt_layout_find_logical(self->layout, crypt->logical), error);
    if (!device)
        return -1;
    format_t format = {.crypt = crypt, .passphrase = self->passphrase, .device = device};
    self->crypts[index].fd = open(device, O_RDWR | O_CLOEXEC);
    const off_t bytes =
        self->crypts[index].fd == -1 ? -1 : lseek(self->crypts[index].fd, 0, SEEK_END);
    if (bytes == -1)
        return rmt_fail_errno(error, "open %s", device);
    const rmt_layout_run_t run = {0, (uint64_t) bytes};
    const int rc = rmt_filter_run(s_run_format, &format, error) == 0
                       ? s_show_new(self, index, &format, &run, self->crypts[index].fd,
                                    s_sector(self->layout), error)
                       : -1;
    explicit_bzero(format.key, sizeof format.key);
    return rc;
}

static int
s_make_all(rmt_work_t *self, bool is_inner, rmt_error_t *error)
{
    const rmt_layout_t *layout = self->layout;
    for (size_t i = 0; i < layout->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &layout->crypts[i];
        if (is_inner != (crypt->logical != NULL))
            continue;
        rmt_work_disk_t *disk = rmt_work_disk_of(self, crypt->disk);
        rmt_auto_str words = rmt_layout_crypt_words(crypt);
        if (!disk || !self->passphrase)
            return rmt_fail(
                error, RMT_E_USAGE, "the order names no %s for encrypted %s of role '%s'",
                disk ? "passphrase" : "disk", words, layout->disks[crypt->disk].role);
        self->at = disk;
        if ((is_inner ? s_make_inner(self, i, error) : s_make(self, i, disk, error)) ==
            -1)
            return rmt_wrap(error, "encrypted %s", words);
    }
    return 0;
}

int
rmt_work_make_crypts(rmt_work_t *self, rmt_error_t *error)
{
    return s_make_all(self, false, error);
}

int
rmt_work_make_inner_crypts(rmt_work_t *self, rmt_error_t *error)
{
    const int rc = s_make_all(self, true, error);
    rmt_secret_free(&self->passphrase);
    return rc;
}

int
rmt_work_flush_crypts(rmt_work_t *self, bool is_inner, rmt_error_t *error)
{
    for (size_t i = 0; i < self->layout->crypt_count; i++) {
        const rmt_layout_crypt_t *crypt = &self->layout->crypts[i];
        if (is_inner != (crypt->logical != NULL) ||
            rmt_fuse_disk_flush(self->crypts[i].disk, error) == 0)
            continue;
        rmt_auto_str words = rmt_layout_crypt_words(crypt);
        return rmt_wrap(error, "encrypted %s", words);
    }
    return 0;
}

void
rmt_work_close_crypts(rmt_work_t *self, bool is_inner)
{
    for (size_t i = 0; i < RMT_LAYOUT_CRYPTS_MAX; i++) {
        rmt_work_crypt_t *one = &self->crypts[i];
        if (is_inner != (one->fd != -1))
            continue;
        rmt_fuse_disk_destroy(&one->disk);
        rmt_crypt_destroy(&one->crypt);
        if (is_inner)
            close(one->fd);
    }
    rmt_secret_free(&self->passphrase);
}
