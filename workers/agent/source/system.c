#include "agent/source/system.h"
#include "base/rmt_auto.h"
#include "system/rmt_os.h"

#include <string.h>

rmt_records_t *
rmt_system_read(const rmt_source_disk_t *disk, rmt_error_t *error)
{
    const int root = rmt_source_disk_root(disk);
    rmt_records_t *records = NULL;
    if (root == -1)
        return rmt_records_new();
    return rmt_os_examine(root, &records, error) == -1 ? NULL : records;
}
