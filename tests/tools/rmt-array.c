// ramet-array: arrays of md on partitions of disk image files, where no kernel and no
// mdadm can make or read them.
//   ramet-array make LEVEL LAYOUT CHUNK METADATA NAME FILE:N... <CONTENTS
//   ramet-array read FILE:N... >CONTENTS
// `size` in place of CONTENTS is told by `make` on standard output when standard input is
// empty. Parity is not written.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_md.h"

#define MIB ((uint64_t) 1024 * 1024)
#define MEMBERS_MAX 16
#define PART ((size_t) 1024 * 1024)

typedef struct {
    rmt_layout_t *layout;
    rmt_array_place_t places[MEMBERS_MAX];
    size_t disks[MEMBERS_MAX];
    uint64_t numbers[MEMBERS_MAX];
    size_t count;
} bench_t;

// FILE:N, the partition N of a disk image; each file is a disk once.
static int
s_open(bench_t *self, const char *word, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s", word);
    char *colon = strrchr(path, ':');
    if (!colon || self->count == MEMBERS_MAX)
        return rmt_fail(error, RMT_E_USAGE, "%s is not FILE:N, or one too many", word);
    *colon = '\0';
    rmt_auto_str role = rmt_text("d%zu", self->count);
    rmt_auto(rmt_layout) one = rmt_disk_read(path, role, error);
    if (!one)
        return -1;
    rmt_layout_join(self->layout, one);
    const size_t disk = self->layout->disk_count - 1;
    const uint64_t number = strtoull(colon + 1, NULL, 10);
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(self->layout, disk, number);
    if (!partition)
        return rmt_fail(error, RMT_E_USAGE, "%s has no such partition", word);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    self->places[self->count] =
        (rmt_array_place_t){fd, partition->start * 512, partition->size * 512};
    self->disks[self->count] = disk;
    self->numbers[self->count++] = number;
    return 0;
}

static int
s_describe(bench_t *self, char **words, rmt_error_t *error)
{
    static const char *const versions[] = {"0.90", "1.0", "1.1", "1.2"};
    char uuid[33];
    snprintf(uuid, sizeof uuid, "%08lx%08lx0123456789abcdef", (unsigned long) getpid(),
             (unsigned long) strlen(words[4]));
    rmt_layout_array_t *array = rmt_layout_add_array(self->layout, uuid);
    array->level = strtoull(words[0], NULL, 10);
    array->layout = strtoull(words[1], NULL, 0);
    array->chunk = strtoull(words[2], NULL, 10);
    array->metadata = rmt_text("%s", words[3]);
    array->name = strcmp(words[3], "0.90") == 0 ? NULL : rmt_text("%s", words[4]);
    array->minor = array->name ? 0 : strtoull(words[4], NULL, 10);
    array->slots = self->count;
    array->size = array->level ? UINT64_MAX : 0;
    rmt_md_version_t version = RMT_MD_0_90;
    while (version < RMT_MD_1_2 && strcmp(versions[version], words[3]) != 0)
        version++;
    for (size_t i = 0; i < self->count; i++) {
        rmt_layout_member_t *member = rmt_layout_add_member(self->layout, self->disks[i]);
        member->partition = self->numbers[i];
        member->slot = i;
        member->data_start = version >= RMT_MD_1_1 ? MIB : 0;
        member->data_size =
            rmt_md_space(version, self->places[i].bytes, member->data_start);
        const uint64_t step = array->chunk ? array->chunk : 1024;
        if (array->level && member->data_size < array->size)
            array->size = member->data_size / step * step;
    }
    return rmt_layout_check(self->layout, error);
}

static int
s_make(bench_t *self, rmt_error_t *error)
{
    if (rmt_array_write(self->layout, 0, self->places, error) == -1)
        return -1;
    rmt_auto(rmt_mapping) mapping = rmt_array_map(self->layout, 0, self->places);
    rmt_auto_ptr data = malloc(PART);
    const uint64_t size = rmt_mapping_size(mapping);
    uint64_t at = 0;
    size_t got;
    while ((got = fread(data, 1, PART, stdin)) > 0 && at + got <= size) {
        if (rmt_mapping_write(mapping, data, got, at) != 0)
            return rmt_fail(error, RMT_E_IO, "the array is not written");
        at += got;
    }
    if (got)
        return rmt_fail(error, RMT_E_TOO_BIG, "the array is smaller than its contents");
    printf("%llu\n", (unsigned long long) size);
    return 0;
}

static int
s_read(bench_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_arrays) arrays = rmt_arrays_new();
    rmt_auto(rmt_records) told = rmt_records_new();
    for (size_t i = 0; i < self->count; i++) {
        rmt_auto_ptr head = malloc((size_t) self->places[i].bytes);
        rmt_auto_fd part = memfd_create("part", MFD_CLOEXEC);
        if (rmt_io_pread(self->places[i].fd, head, (size_t) self->places[i].bytes,
                         (off_t) self->places[i].offset, error) == -1 ||
            rmt_io_pwrite(part, head, (size_t) self->places[i].bytes, 0, error) == -1 ||
            rmt_arrays_add(arrays, self->disks[i], self->numbers[i], part,
                           self->places[i].bytes, error) == -1)
            return -1;
    }
    if (rmt_arrays_finish(arrays, self->layout, told, error) == -1 ||
        rmt_layout_check(self->layout, error) == -1)
        return -1;
    // The layout has the members by their slots.
    rmt_array_place_t places[MEMBERS_MAX];
    for (size_t i = 0; i < self->layout->member_count; i++)
        for (size_t j = 0; j < self->count; j++)
            if (self->disks[j] == self->layout->members[i].disk) {
                places[i] = self->places[j];
                if (rmt_arrays_is_old(arrays, i))
                    places[i].fd = -1;
            }
    rmt_auto(rmt_mapping) mapping = rmt_array_map(self->layout, 0, places);
    rmt_auto_ptr data = malloc(PART);
    const uint64_t size = rmt_mapping_size(mapping);
    for (uint64_t at = 0; at < size; at += PART) {
        const size_t part = size - at < PART ? (size_t) (size - at) : PART;
        if (rmt_mapping_read(mapping, data, part, at) != 0)
            return rmt_fail(error, RMT_E_IO, "the array is not read");
        if (fwrite(data, 1, part, stdout) != part)
            return rmt_fail_errno(error, "write");
    }
    return 0;
}

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    bench_t bench = {.layout = layout};
    const bool is_make = argc > 7 && strcmp(argv[1], "make") == 0;
    int rc = is_make || (argc > 2 && strcmp(argv[1], "read") == 0)
                 ? 0
                 : rmt_fail(&error, RMT_E_USAGE, "make or read");
    for (int i = is_make ? 7 : 2; rc == 0 && i < argc; i++)
        rc = s_open(&bench, argv[i], &error);
    if (rc == 0)
        rc = is_make ? s_describe(&bench, argv + 2, &error) == -1 ? -1
                                                                  : s_make(&bench, &error)
                     : s_read(&bench, &error);
    if (rc == -1)
        fprintf(stderr, "ramet-array: %s\n", error.text);
    for (size_t i = 0; i < bench.count; i++)
        close(bench.places[i].fd);
    return rc == -1;
}
