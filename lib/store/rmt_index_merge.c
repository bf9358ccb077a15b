#include "store/rmt_index.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <stdlib.h>

#define NO_PACK UINT32_MAX
// Copies of one chunk that are told apart; more than that are kept twice at worst.
#define RUN_MAX 16

typedef struct {
    rmt_index_t *const *indexes;
    size_t count;
    rmt_buffer_t packs; // Table of the result, sorted by name
    uint32_t **numbers; // For each index and pack: its number in the result, or NO_PACK
    uint64_t *at;       // For each index: the next slot
} s_merge_t;

// ---- The table of packs

static void
s_gather_packs(s_merge_t *merge)
{
    for (size_t i = 0; i < merge->count; i++) {
        rmt_index_t *index = merge->indexes[i];
        for (uint32_t pack = 0; pack < rmt_index_pack_count(index); pack++) {
            if (rmt_index_flags(index)[pack] & RMT_PACK_DOOMED)
                continue;
            uint8_t entry[RMT_PACK_ENTRY_SIZE];
            const rmt_file_name_t name = rmt_index_pack_name(index, pack);
            memcpy(entry, name.bytes, sizeof name);
            rmt_put64(entry + sizeof name, rmt_index_pack_size(index, pack));
            rmt_buffer_add(&merge->packs, entry, sizeof entry);
        }
    }
    const size_t count = merge->packs.used / RMT_PACK_ENTRY_SIZE;
    if (count == 0)
        return;
    uint8_t *table = merge->packs.data;
    qsort(table, count, RMT_PACK_ENTRY_SIZE, rmt_file_name_compare);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        uint8_t *entry = table + i * RMT_PACK_ENTRY_SIZE;
        uint8_t *last = table + (kept - 1) * RMT_PACK_ENTRY_SIZE;
        if (rmt_file_name_compare(last, entry) == 0)
            continue;
        memmove(last + RMT_PACK_ENTRY_SIZE, entry, RMT_PACK_ENTRY_SIZE);
        kept++;
    }
    merge->packs.used = kept * RMT_PACK_ENTRY_SIZE;
}

static uint32_t *
s_number_packs(const s_merge_t *merge, rmt_index_t *index)
{
    const uint32_t count = rmt_index_pack_count(index);
    uint32_t *numbers = malloc((count + (size_t) 1) * sizeof *numbers);
    if (!numbers)
        abort();
    for (uint32_t pack = 0; pack < count; pack++) {
        numbers[pack] = NO_PACK;
        if (rmt_index_flags(index)[pack] & RMT_PACK_DOOMED)
            continue;
        const rmt_file_name_t name = rmt_index_pack_name(index, pack);
        const uint8_t *found =
            bsearch(&name, merge->packs.data, merge->packs.used / RMT_PACK_ENTRY_SIZE,
                    RMT_PACK_ENTRY_SIZE, rmt_file_name_compare);
        assert(found);
        numbers[pack] = (uint32_t) ((found - merge->packs.data) / RMT_PACK_ENTRY_SIZE);
    }
    return numbers;
}

// ---- The slots

// The index whose next slot has the lowest id, or count at the end.
static size_t
s_lowest(const s_merge_t *merge)
{
    size_t best = merge->count;
    const uint8_t *lowest = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        if (merge->at[i] == rmt_index_count(merge->indexes[i]))
            continue;
        const uint8_t *slot = rmt_index_bytes(merge->indexes[i], merge->at[i]);
        if (!lowest || memcmp(slot, lowest, RMT_ID_SIZE) < 0) {
            best = i;
            lowest = slot;
        }
    }
    return best;
}

// Slots of one id that were written already, so that no copy is listed twice.
typedef struct {
    rmt_id_t id;
    size_t count;
    uint32_t packs[RUN_MAX];
} s_run_t;

static bool
s_is_repeat(s_run_t *run, const rmt_slot_t *slot)
{
    if (run->count == 0 || memcmp(run->id.bytes, slot->id.bytes, RMT_ID_SIZE) != 0) {
        run->id = slot->id;
        run->count = 0;
    }
    for (size_t i = 0; i < run->count; i++)
        if (run->packs[i] == slot->pack)
            return true;
    if (run->count < RUN_MAX)
        run->packs[run->count++] = slot->pack;
    return false;
}

static int
s_merge_slots(s_merge_t *merge, rmt_index_writer_t *writer, rmt_error_t *error)
{
    s_run_t run = {.count = 0};
    for (;;) {
        const size_t from = s_lowest(merge);
        if (from == merge->count)
            return 0;
        rmt_slot_t slot;
        if (!rmt_index_slot(merge->indexes[from], merge->at[from]++, &slot))
            return rmt_fail(error, RMT_E_CORRUPT, "index: slot without a pack");
        slot.pack = merge->numbers[from][slot.pack];
        if (slot.pack == NO_PACK || s_is_repeat(&run, &slot))
            continue;
        uint8_t entry[RMT_SLOT_SIZE];
        rmt_slot_encode(entry, &slot);
        if (rmt_index_writer_add(writer, entry, error) == -1)
            return -1;
    }
}

static int
s_write(s_merge_t *merge, const char *path, rmt_error_t *error)
{
    rmt_auto(rmt_index_writer) writer = rmt_index_writer_new(path, error);
    if (!writer || s_merge_slots(merge, writer, error) == -1)
        return -1;
    return rmt_index_writer_finish(writer, merge->packs.data,
                                   (uint32_t) (merge->packs.used / RMT_PACK_ENTRY_SIZE),
                                   error);
}

int
rmt_index_merge(rmt_index_t *const *indexes, size_t count, const char *path,
                uint32_t *pack_count_out, rmt_error_t *error)
{
    s_merge_t merge = {.indexes = indexes, .count = count};
    merge.numbers = calloc(count + 1, sizeof *merge.numbers);
    merge.at = calloc(count + 1, sizeof *merge.at);
    if (!merge.numbers || !merge.at)
        abort();
    s_gather_packs(&merge);
    for (size_t i = 0; i < count; i++)
        merge.numbers[i] = s_number_packs(&merge, indexes[i]);
    const uint32_t pack_count = (uint32_t) (merge.packs.used / RMT_PACK_ENTRY_SIZE);
    const int result = pack_count > 0 ? s_write(&merge, path, error) : 0;
    for (size_t i = 0; i < count; i++)
        free(merge.numbers[i]);
    free(merge.numbers);
    free(merge.at);
    rmt_buffer_clear(&merge.packs);
    if (result == 0)
        *pack_count_out = pack_count;
    return result;
}
