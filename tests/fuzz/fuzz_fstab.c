// An fstab, for a disk with file systems whose names are hard to write in it. What takes
// the place of numbers of subvolumes keeps every other word, and is final.
#include <stdint.h>
#include <string.h>

#include "agent/disk_tools/fstab.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "fuzz/must.h"

#define LAYOUT                                                                           \
    "class=disk role=system table=gpt bytes=107374182400\n"                              \
    "class=partition disk=system number=1 start=2048 size=204800 "                       \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 "                                         \
    "guid=01234567-89AB-CDEF-0123-456789ABCDEF name=\"my data\"\n"                       \
    "class=partition disk=system number=2 start=206848 size=2048000 "                    \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4 "                                         \
    "guid=11234567-89AB-CDEF-0123-456789ABCDEF\n"                                        \
    "class=volume disk=system partition=1 fs=ext4 uuid=aa label=\"my data\"\n"           \
    "class=volume disk=system partition=2 fs=btrfs uuid=bb subvolume=\"\" "              \
    "subvolume-id=5\n"                                                                   \
    "class=volume disk=system partition=2 fs=btrfs uuid=bb subvolume=@ "                 \
    "subvolume-id=256 default=yes mount=/\n"                                             \
    "class=volume disk=system partition=2 fs=btrfs uuid=bb subvolume=\"@my home\" "      \
    "subvolume-id=257\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rmt_layout_t *
s_layout(void)
{
    static rmt_layout_t *layout;
    rmt_error_t error = {0};
    if (layout)
        return layout;
    rmt_auto(rmt_records) records = rmt_facts_parse(LAYOUT, &error);
    layout = records ? rmt_layout_read(records, &error) : NULL;
    if (!layout)
        fprintf(stderr, "%s\n", error.text);
    MUST(layout);
    return layout;
}

static size_t
s_count(const char *line, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += !strchr(" \t", line[i]) && (i == 0 || strchr(" \t", line[i - 1]));
    return count;
}

// Both texts have the same lines of as many words, and the first word is the same.
static void
s_compare(const char *one, const char *two)
{
    for (;;) {
        const size_t one_size = strcspn(one, "\n"), two_size = strcspn(two, "\n");
        MUST(s_count(one, one_size) == s_count(two, two_size));
        const size_t blanks = strspn(one, " \t"), word = strcspn(one + blanks, " \t\n");
        MUST(strncmp(one, two, blanks + word) == 0);
        MUST(!one[one_size] == !two[two_size]);
        if (!one[one_size])
            return;
        one += one_size + 1;
        two += two_size + 1;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    const rmt_layout_t *layout = s_layout();
    rmt_auto_str text = strndup((const char *) data, size);
    const rmt_fstab_place_t place = {.root = 2};
    rmt_auto(rmt_fstab) fstab = rmt_fstab_new(text, &place, &error);
    MUST(fstab || error.code == RMT_E_CONFIG);
    for (size_t i = 0; fstab && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        rmt_auto_str mount = rmt_fstab_mount(fstab, layout, volume);
        MUST(!mount || mount[0] == '/');
    }
    rmt_auto_str uuid = fstab ? rmt_fstab_root_uuid(fstab) : NULL;
    MUST(!uuid || strlen(uuid) == 36);
    if (fstab && rmt_fstab_check(fstab, layout, &error) == -1)
        MUST(error.code == RMT_E_UNSUPPORTED);
    rmt_auto_str changed = rmt_fstab_by_path(text, layout);
    if (!changed)
        return 0;
    s_compare(text, changed);
    rmt_auto_str again = rmt_fstab_by_path(changed, layout);
    if (again)
        s_compare(changed, again);
    return 0;
}
