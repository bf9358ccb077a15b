#include "netboot.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t) 4096)
#define MAC_TEXT_SIZE 18 // With its NUL
#define TOKEN_LINE "# token "

// As iPXE writes ${mac:hexhyp}: lower case, with hyphens. False for what is no MAC, so
// that no other name can be made.
static bool
s_file_name(const char *mac, size_t size, char name_out[MAC_TEXT_SIZE])
{
    if (size != MAC_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < size; i++) {
        const bool is_mark = i % 3 == 2;
        const bool is_good = is_mark ? mac[i] == ':' || mac[i] == '-'
                                     : isxdigit((unsigned char) mac[i]) != 0;
        if (!is_good)
            return false;
        name_out[i] = is_mark ? '-' : (char) tolower((unsigned char) mac[i]);
    }
    name_out[size] = '\0';
    return true;
}

// True when the file stands for a later order than the caller's.
static bool
s_is_later(const rmt_netboot_t *self, const char *path)
{
    rmt_error_t ignored = {0};
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    if (rmt_io_load(path, FILE_SIZE_MAX, &data, &size, &ignored) == -1)
        return false;
    const char *line = strstr(data, TOKEN_LINE);
    uint32_t era = 0;
    uint64_t epoch = 0;
    if (!line || sscanf(line, TOKEN_LINE "%" SCNu32 ".%" SCNu64, &era, &epoch) != 2)
        return false;
    return era > self->era || (era == self->era && epoch > self->epoch);
}

// BIOS: its first disk by INT 13h, for not every firmware goes on by itself after a
// network boot. UEFI: the loader that ops/netboot gives out at ${base}. An error is what
// makes a boot manager try its next entry.
static char *
s_script(const rmt_netboot_t *self)
{
    return rmt_text("#!ipxe\n" TOKEN_LINE "%" PRIu32 ".%" PRIu64 "\n"
                    "# %s is installed; a new order removes this file.\n"
                    "echo ramet: %s boots its own disk\n"
                    "iseq ${platform} efi && goto efi ||\n"
                    "sanboot --no-describe --drive 0x80 ||\n"
                    "exit 1\n"
                    ":efi\n"
                    "chain --autofree ${base}/disk.efi ||\n"
                    "exit 1\n",
                    self->era, self->epoch, self->target, self->target);
}

typedef int(s_change_fn)(const rmt_netboot_t *self, const char *path, rmt_error_t *error);

static int
s_put(const rmt_netboot_t *self, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = s_script(self);
    return rmt_io_save(path, text, strlen(text), 0644, error);
}

static int
s_remove(const rmt_netboot_t *self, const char *path, rmt_error_t *error)
{
    (void) self;
    if (unlink(path) == -1 && errno != ENOENT)
        return rmt_fail_errno(error, "remove %s", path);
    return 0;
}

static int
s_one(const rmt_netboot_t *self, const char *mac, size_t size, s_change_fn *change,
      rmt_error_t *error)
{
    char name[MAC_TEXT_SIZE];
    if (!s_file_name(mac, size, name))
        return 0;
    rmt_auto_str path = rmt_text("%s/%s.ipxe", self->folder, name);
    return s_is_later(self, path) ? 0 : change(self, path, error);
}

static int
s_each(const rmt_netboot_t *self, s_change_fn *change, rmt_error_t *error)
{
    if (rmt_io_mkdirs(self->folder, 0755, error) == -1)
        return rmt_wrap(error, "netboot of %s", self->target);
    for (size_t i = 0; i < rmt_records_count(self->hardware); i++) {
        const rmt_record_t *nic = rmt_records_at(self->hardware, i);
        const char *mac = rmt_record_text(nic, "mac", "");
        if (strcmp(rmt_record_text(nic, "class", ""), "nic") == 0 &&
            s_one(self, mac, strlen(mac), change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
    }
    for (const char *word = self->macs; *word;) {
        const size_t size = strcspn(word, ", ");
        if (s_one(self, word, size, change, error) == -1)
            return rmt_wrap(error, "netboot of %s", self->target);
        word += size + (word[size] != '\0');
    }
    return 0;
}

int
rmt_netboot_disk(const rmt_netboot_t *self, rmt_error_t *error)
{
    return s_each(self, s_put, error);
}

int
rmt_netboot_installer(const rmt_netboot_t *self, rmt_error_t *error)
{
    return s_each(self, s_remove, error);
}
