#include "agent/source/kernel.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "kernel/rmt_kernel.h"
#include "tree/rmt_cache.h"

#include <assert.h>
#include <string.h>

typedef struct {
    rmt_pieces_put_fn *put;
    void *context;
    rmt_records_t *records;
} work_t;

// Cut a file into chunks and name them.
static int
s_add_file(void *context, const char *name, const void *data, size_t size,
           rmt_error_t *error)
{
    work_t *self = context;
    rmt_auto_str ids = rmt_pieces_put(data, size, NULL, self->put, self->context, error);
    if (!ids)
        return -1;
    rmt_record_t *file = rmt_records_add(self->records);
    rmt_record_set(file, "class", "kernel-file");
    rmt_record_set(file, "name", name);
    rmt_record_set_u64(file, "bytes", size);
    rmt_record_set(file, "facts", ids);
    return 0;
}

// Nothing is remembered where the times of files do not tell every change.
static rmt_kernel_tree_t
s_tree(const rmt_layout_volume_t *volume, int fd, rmt_initramfs_memory_t *memory)
{
    rmt_auto_str lineage = rmt_cache_lineage(fd);
    return (rmt_kernel_tree_t){volume->mount, fd, lineage ? memory : NULL};
}

int
rmt_agent_kernel(rmt_source_disk_t *disk, rmt_initramfs_memory_t *memory,
                 rmt_pieces_put_fn *put, void *context, rmt_records_t *records,
                 rmt_error_t *error)
{
    const size_t count = rmt_source_disk_count(disk);
    rmt_auto_ptr room = calloc(count + 1, sizeof(rmt_kernel_tree_t));
    rmt_kernel_tree_t *trees = room;
    assert(trees);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const rmt_layout_volume_t *volume = rmt_source_disk_volume(disk, i);
        // systemd mounts an EFI system partition without a line of fstab.
        if (volume->mount || rmt_layout_is_esp(rmt_source_disk_layout(disk), volume))
            trees[used++] = s_tree(volume, rmt_source_disk_tree(disk, i), memory);
    }
    work_t work = {put, context, records};
    rmt_record_t *kernel = NULL;
    if (rmt_kernel_read(trees, used, s_add_file, &work, &kernel, error) == -1)
        return rmt_wrap(error, "facts about the kernel");
    if (kernel)
        rmt_records_append(records, &kernel);
    return 0;
}
