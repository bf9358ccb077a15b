#include "imager/check.h"
#include "base/rmt_auto.h"
#include "store/rmt_store.h"

#include <inttypes.h>
#include <stdio.h>

static void
s_print(void *context, const rmt_store_finding_t *finding)
{
    (void) context;
    puts(finding->text);
}

int
imager_check_store(const char *folder)
{
    rmt_error_t error = {0};
    rmt_store_report_t report = {0};
    rmt_auto(rmt_store) store = rmt_store_new(folder, false, &error);
    const rmt_store_watch_t watch = {.finding = s_print};
    if (!store || rmt_store_check(store, true, &watch, &report, &error) == -1) {
        fprintf(stderr, "ramet-imager: %s\n", error.text);
        return rmt_code_exit(error.code);
    }
    printf("%" PRIu64 " images, %" PRIu64 " packs, %" PRIu64 " chunks, %" PRIu64
           " bytes stored of %" PRIu64 "; %" PRIu64 " missing, %" PRIu64 " damaged\n",
           report.images, report.packs, report.chunks, report.bytes_stored,
           report.bytes_plain, report.missing, report.damaged);
    return report.missing || report.damaged ? 2 : 0;
}
