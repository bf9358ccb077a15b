#include "kernel/rmt_boot_entry.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_pe.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define NAME_SIZE_MAX 256 // Of a kernel release

typedef struct {
    int root_fd;
    const char *version;
    rmt_boot_entry_t entry; // The last one of this version
    rmt_boot_entry_t other; // The last one without a version
    size_t others;
} search_t;

void
rmt_boot_entry_clear(rmt_boot_entry_t *self)
{
    free(self->image);
    free(self->initramfs);
    *self = (rmt_boot_entry_t){0};
}

static void
s_take(search_t *self, const char *version, rmt_boot_entry_t *entry)
{
    const bool is_told = version && *version;
    if (is_told && strcmp(version, self->version) != 0) {
        rmt_boot_entry_clear(entry);
        return;
    }
    rmt_boot_entry_t *kept = is_told ? &self->entry : &self->other;
    rmt_boot_entry_clear(kept);
    *kept = *entry;
    *entry = (rmt_boot_entry_t){0};
    self->others += !is_told;
}

static bool
s_has_end(const char *name, const char *end)
{
    const size_t size = strlen(name), tail = strlen(end);
    return size > tail && strcasecmp(name + size - tail, end) == 0;
}

// ---- Type 1: a line is a key, blanks and a value

static const char *
s_value(const char *line, const char *key)
{
    line += strspn(line, " \t");
    const size_t size = strlen(key);
    if (strncmp(line, key, size) != 0 || !strchr(" \t", line[size]) || !line[size])
        return NULL;
    line += size;
    return line + strspn(line, " \t");
}

static void
s_keep(char **text_p, const char *value)
{
    free(*text_p);
    *text_p = rmt_text("%s", value);
    char *end = *text_p + strlen(*text_p);
    while (end > *text_p && strchr(" \t\r", end[-1]))
        *--end = '\0';
}

// An entry names several files as initramfs where the first ones are microcode.
static int
s_read_text(search_t *self, const char *path, rmt_error_t *error)
{
    rmt_auto_str text = NULL;
    rmt_auto_str version = NULL;
    rmt_boot_entry_t entry = {.initramfs_size = UINT64_MAX};
    if (rmt_rooted_load(self->root_fd, path, &text, NULL, error) == -1)
        return -1;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        const char *value;
        if ((value = s_value(line, "version")))
            s_keep(&version, value);
        else if ((value = s_value(line, "linux")))
            s_keep(&entry.image, value);
        else if ((value = s_value(line, "initrd")))
            s_keep(&entry.initramfs, value);
    }
    // Without the key its folder or its own name tells the version.
    if (!version && entry.image && strstr(entry.image, self->version))
        version = rmt_text("%s", self->version);
    if (entry.image && rmt_rooted_exists(self->root_fd, entry.image))
        s_take(self, version, &entry);
    rmt_boot_entry_clear(&entry);
    return 0;
}

// ---- Type 2: sections of a program

static int
s_read_version(int fd, const rmt_pe_section_t *section, char version[NAME_SIZE_MAX],
               rmt_error_t *error)
{
    const size_t size =
        section->size < NAME_SIZE_MAX ? (size_t) section->size : NAME_SIZE_MAX - 1;
    memset(version, 0, NAME_SIZE_MAX);
    if (rmt_io_pread(fd, version, size, (off_t) section->offset, error) == -1)
        return -1;
    version[strcspn(version, "\n")] = '\0';
    return 0;
}

static int
s_read_program(search_t *self, const char *path, rmt_error_t *error)
{
    rmt_auto_fd fd = -1;
    struct stat status;
    uint8_t head[RMT_PE_HEAD_SIZE];
    rmt_pe_section_t section;
    char version[NAME_SIZE_MAX] = "";
    if (rmt_rooted_open(self->root_fd, path, &fd, error) == -1)
        return -1;
    if (fd == -1 || fstat(fd, &status) == -1)
        return 0;
    const uint64_t bytes = (uint64_t) status.st_size;
    const size_t size = bytes < sizeof head ? (size_t) bytes : sizeof head;
    if (rmt_io_pread(fd, head, size, 0, error) == -1)
        return rmt_wrap(error, "%s", path);
    if (!rmt_pe_find(head, size, ".linux", NULL))
        return 0;
    if (rmt_pe_find(head, size, ".uname", &section) &&
        section.offset + section.size <= bytes &&
        s_read_version(fd, &section, version, error) == -1)
        return rmt_wrap(error, "%s", path);
    rmt_boot_entry_t entry = {.image = rmt_text("%s", path)};
    if (rmt_pe_find(head, size, ".initrd", &section) &&
        section.offset + section.size <= bytes) {
        entry.initramfs = rmt_text("%s", path);
        entry.initramfs_at = section.offset;
        entry.initramfs_size = section.size;
    }
    s_take(self, version, &entry);
    return 0;
}

// ---- Folders

static int
s_search(search_t *self, const char *folder, const char *end,
         int (*read)(search_t *self, const char *path, rmt_error_t *error),
         rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (s_has_end(name, end) && read(self, path, error) == -1)
            return -1;
    }
    return 0;
}

int
rmt_boot_entry_find(int root_fd, const char *version, rmt_boot_entry_t *entry_out,
                    rmt_error_t *error)
{
    assert(version);
    assert(entry_out);
    search_t self = {.root_fd = root_fd, .version = version};
    int rc = s_search(&self, "/loader/entries", ".conf", s_read_text, error);
    if (rc == 0)
        rc = s_search(&self, "/boot/loader/entries", ".conf", s_read_text, error);
    if (rc == 0)
        rc = s_search(&self, "/EFI/Linux", ".efi", s_read_program, error);
    if (rc == 0)
        rc = s_search(&self, "/boot/EFI/Linux", ".efi", s_read_program, error);
    if (!self.entry.image && self.others == 1) {
        self.entry = self.other;
        self.other = (rmt_boot_entry_t){0};
    }
    rmt_boot_entry_clear(&self.other);
    if (rc == -1)
        rmt_boot_entry_clear(&self.entry);
    *entry_out = self.entry;
    return rc == -1 ? -1 : self.entry.image != NULL;
}
