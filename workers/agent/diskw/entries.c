#include "agent/diskw/entries.h"
#include "disk/rmt_esp.h"

#include <stdint.h>
#include <strings.h>

static void
s_add(rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX], size_t *count,
      const rmt_record_t *words)
{
    rmt_nvram_entry_t *entry = &entries[(*count)++];
    *entry = (rmt_nvram_entry_t){
        .label = rmt_record_text(words, "label", rmt_record_text(words, "vendor", "")),
        .path = rmt_record_text(words, "path", "")};
    entry->options = rmt_record_get(words, "options", &entry->options_size);
}

static bool
s_is_windows(const rmt_nvram_entry_t *entry)
{
    return strcasecmp(entry->path, RMT_ESP_WINDOWS) == 0;
}

// The first entry that is not for Windows, or count.
static size_t
s_find_own(const rmt_nvram_entry_t *entries, size_t count)
{
    size_t at = 0;
    while (at < count && s_is_windows(&entries[at]))
        at++;
    return at;
}

size_t
diskw_boot_entries(const rmt_records_t *boot, const char *guid, const rmt_record_t *esp,
                   rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX])
{
    size_t count = 0;
    for (size_t i = 0; boot && i < rmt_records_count(boot); i++) {
        const rmt_record_t *words = rmt_records_at(boot, i);
        if (rmt_record_is(words, "class", "entry") && count < RMT_NVRAM_SET_MAX - 1 &&
            strcasecmp(rmt_record_text(words, "guid", ""), guid) == 0)
            s_add(entries, &count, words);
    }
    const bool is_none = count == 0;
    size_t own = s_find_own(entries, count);
    if (own == count && *rmt_record_text(esp, "path", "")) {
        s_add(entries, &count, esp);
        own = s_find_own(entries, count);
        if (is_none && rmt_record_flag(esp, "windows"))
            entries[count++] = (rmt_nvram_entry_t){.label = "Windows Boot Manager",
                                                   .path = RMT_ESP_WINDOWS};
    }
    if (own > 0 && own < count)
        entries[own].is_next = true;
    return count;
}

// Its place among the image's records, from which its path is borrowed.
static size_t
s_rank(const rmt_records_t *boot, const rmt_nvram_entry_t *entry)
{
    size_t i = 0;
    while (boot && i < rmt_records_count(boot) &&
           rmt_record_text(rmt_records_at(boot, i), "path", "") != entry->path)
        i++;
    return boot && i < rmt_records_count(boot) ? i : SIZE_MAX;
}

void
diskw_order_entries(const rmt_records_t *boot, rmt_nvram_entry_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rmt_nvram_entry_t entry = entries[i];
        const size_t rank = s_rank(boot, &entry);
        size_t at = i;
        for (; at > 0 && s_rank(boot, &entries[at - 1]) > rank; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
    for (size_t i = 0; i < count; i++)
        entries[i].is_next = false;
    const size_t own = s_find_own(entries, count);
    if (own > 0 && own < count)
        entries[own].is_next = true;
}
