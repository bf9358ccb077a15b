// What firmware starts: the files of an EFI system partition, and the firmware's own
// variables as files. The first byte says which; the rest is a grove.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "disk/rmt_esp.h"
#include "disk/rmt_nvram.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What can be started has its fallback after it was completed.
static void
s_fuzz_esp(int root_fd)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) esp = NULL;
    if (rmt_esp_examine(root_fd, &esp, &error) == -1) {
        MUST(error.code == RMT_E_UNSUPPORTED || error.code == RMT_E_IO);
        return;
    }
    if (rmt_esp_complete(root_fd, esp, &error) == -1 ||
        !*rmt_record_text(esp, "path", ""))
        return;
    rmt_auto(rmt_record) again = NULL;
    MUST(rmt_esp_examine(root_fd, &again, &error) == 0);
    MUST(strcmp(rmt_record_text(again, "fallback", ""), "yes") == 0);
}

// An entry that is set is found when it is set once more.
static void
s_fuzz_nvram(void)
{
    static const rmt_nvram_entry_t entry = {.label = "Debian",
                                            .path = "EFI/debian/shimx64.efi",
                                            .guid =
                                                "01234567-89ab-cdef-0123-456789abcdef",
                                            .partition = 1,
                                            .start = 2048,
                                            .sectors = 204800};
    rmt_error_t error = {0};
    uint16_t number = 0, again = 0;
    if (rmt_nvram_set(grove_root(), &entry, 1, &number, &error) == -1) {
        MUST(error.code != RMT_E_OK);
        return;
    }
    MUST(rmt_nvram_set(grove_root(), &entry, 1, &again, &error) == 0);
    MUST(number == again);
    rmt_auto(rmt_records) entries = rmt_records_new();
    MUST(rmt_nvram_read(grove_root(), entries, &error) == 0);
    MUST(rmt_records_count(entries) > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const int root_fd = grove_make(data + 1, size - 1, false);
    if (data[0] % 2)
        s_fuzz_nvram();
    else
        s_fuzz_esp(root_fd);
    grove_end();
    return 0;
}
