#include "agent/install/bundle.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <limits.h>
#include <link.h>
#include <string.h>

static const char *
s_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void
s_add(rmt_records_t *files, const char *from, const char *name, const char *mode)
{
    rmt_record_t *file = rmt_records_add(files);
    rmt_record_set(file, "from", from);
    rmt_record_set(file, "name", name);
    rmt_record_set(file, "mode", mode);
}

// The loader itself is in the list of loaded objects; the kernel's page is too, and has
// no path.
static int
s_add_object(struct dl_phdr_info *info, size_t size, void *context)
{
    (void) size;
    rmt_records_t *files = context;
    if (!info->dlpi_name || info->dlpi_name[0] != '/')
        return 0;
    const char *name = s_base(info->dlpi_name);
    s_add(files, info->dlpi_name, name, "0755");
    if (strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld.so", 5) == 0)
        rmt_record_set(rmt_records_at(files, 0), "loader", name);
    return 0;
}

rmt_records_t *
rmt_bundle_files(rmt_error_t *error)
{
    rmt_auto(rmt_records) files = rmt_records_new();
    s_add(files, "/proc/self/exe", "ramet-agent", "0755");
    dl_iterate_phdr(s_add_object, files);
    if (!rmt_record_has(rmt_records_at(files, 0), "loader")) {
        rmt_fail(error, RMT_E_INTERNAL,
                 "no loader among the loaded objects of this program");
        return NULL;
    }
    return rmt_take(&files);
}

char *
rmt_bundle_command(const rmt_records_t *files)
{
    return rmt_text("/" RMT_BUNDLE_FOLDER "/%s --library-path /" RMT_BUNDLE_FOLDER
                    " /" RMT_BUNDLE_FOLDER "/ramet-agent firstboot -c /" RMT_BUNDLE_FOLDER
                    "/" RMT_BUNDLE_CONFIG,
                    rmt_record_text(rmt_records_at(files, 0), "loader", ""));
}
