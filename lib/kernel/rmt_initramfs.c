#include "kernel/rmt_initramfs.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "kernel/rmt_unpack.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE ((size_t) 110) // Of the form newc: magic and 13 numbers of 8 digits
#define FILE_SIZE_AT ((size_t) 6 + 6 * 8)
#define NAME_SIZE_AT ((size_t) 6 + 11 * 8)
#define MODULES_MAX ((size_t) 20000)
// Of a file of a foreign tree: what is larger is no initramfs, or one to waste time with.
#define FILE_SIZE_MAX ((off_t) 1 << 30)
#define PLAIN_SIZE_MAX ((uint64_t) 4 << 30)

typedef struct {
    rmt_input_t *input;
    rmt_unpack_t *unpack; // NULL: the archive stands as it is
    unsigned char data[32768];
    size_t at, size; // Of data
    uint64_t offset; // In the archive, for its borders of four bytes
    uint64_t plain;  // Bytes that were unpacked
    const char *version;
    char **names;
    size_t count;
} scan_t;

// ---- Plain bytes, through the compression or not

// More bytes in data; *is_over_out at the end.
static int
s_fill(scan_t *self, bool *is_over_out, rmt_error_t *error)
{
    self->at = self->size = 0;
    if (self->unpack) {
        if (rmt_unpack_read(self->unpack, self->data, sizeof self->data, &self->size,
                            error) == -1)
            return -1;
    } else {
        const unsigned char *data;
        size_t there;
        if (rmt_input_peek(self->input, 1, &data, &there, error) == -1)
            return -1;
        // One at a time would do; what belongs to the next archive must stay there.
        self->size = there < 4 ? there : 4;
        memcpy(self->data, data, self->size);
        rmt_input_skip(self->input, self->size);
    }
    self->plain += self->size;
    *is_over_out = self->size == 0;
    return self->plain <= PLAIN_SIZE_MAX
               ? 0
               : rmt_fail(error, RMT_E_TOO_BIG,
                          "the initramfs unpacks to more than %d GiB",
                          (int) (PLAIN_SIZE_MAX >> 30));
}

// Take so many bytes; out may be NULL. *is_over_out: there was not a single one.
static int
s_take(scan_t *self, void *out, uint64_t size, bool *is_over_out, rmt_error_t *error)
{
    uint64_t used = 0;
    *is_over_out = false;
    while (used < size) {
        bool is_over = false;
        if (self->at == self->size && s_fill(self, &is_over, error) == -1)
            return -1;
        if (is_over && used == 0) {
            *is_over_out = true;
            return 0;
        }
        if (is_over)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "an archive of the initramfs ends early");
        const size_t left = self->size - self->at;
        const size_t part = left < size - used ? left : (size_t) (size - used);
        if (out)
            memcpy((char *) out + used, self->data + self->at, part);
        self->at += part;
        used += part;
    }
    self->offset += size;
    return 0;
}

static int
s_skip(scan_t *self, uint64_t size, rmt_error_t *error)
{
    bool is_over;
    return s_take(self, NULL, size, &is_over, error);
}

// ---- Names

// The programs that start what lies below a root, by the ends of their paths.
static void
s_see_program(scan_t *self, const char *path)
{
    static const struct {
        const char *end, *name;
    } rows[] = {{"bin/mdadm", "mdadm"},
                {"bin/lvm", "lvm"},
                {"bin/cryptsetup", "cryptsetup"},
                {"/systemd-cryptsetup", "cryptsetup"}};
    const size_t size = strlen(path);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const size_t length = strlen(rows[i].end);
        if (size >= length && strcmp(path + size - length, rows[i].end) == 0 &&
            self->count < MODULES_MAX)
            self->names[self->count++] = rmt_text("program:%s", rows[i].name);
    }
}

// "usr/lib/modules/6.1.0/kernel/drivers/nvme/host/nvme-core.ko.xz" is nvme_core.
static void
s_see(scan_t *self, const char *path)
{
    s_see_program(self, path);
    const char *modules = strstr(path, "lib/modules/");
    const size_t size = strlen(self->version);
    if (!modules || (modules != path && modules[-1] != '/'))
        return;
    modules += strlen("lib/modules/");
    const char *name = strrchr(path, '/') + 1;
    const char *end = strstr(name, ".ko");
    if (strncmp(modules, self->version, size) != 0 || modules[size] != '/' || !end ||
        (end[3] && end[3] != '.') || self->count == MODULES_MAX)
        return;
    // Names are handed on as lines of words.
    if (name == end)
        return;
    for (const char *at = name; at < end; at++)
        if (!isgraph((unsigned char) *at))
            return;
    char *one = rmt_text("%.*s", (int) (end - name), name);
    for (char *p = one; *p; p++)
        *p = *p == '-' ? '_' : *p;
    self->names[self->count++] = one;
}

// ---- Archives

static uint64_t
s_number(const char *digits)
{
    char text[9];
    memcpy(text, digits, 8);
    text[8] = '\0';
    return strtoull(text, NULL, 16);
}

// One entry. *is_end_out behind the last one, or where nothing follows.
static int
s_read_entry(scan_t *self, bool *is_end_out, rmt_error_t *error)
{
    char header[HEADER_SIZE + 1] = "";
    char name[PATH_MAX + 1];
    if (s_take(self, header, HEADER_SIZE, is_end_out, error) == -1 || *is_end_out)
        return *is_end_out ? 0 : -1;
    const uint64_t name_size = s_number(header + NAME_SIZE_AT);
    const uint64_t file_size = s_number(header + FILE_SIZE_AT);
    if ((strncmp(header, "070701", 6) != 0 && strncmp(header, "070702", 6) != 0) ||
        name_size == 0 || name_size > PATH_MAX)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the initramfs is not an archive of the form newc");
    bool is_over;
    if (s_take(self, name, name_size, &is_over, error) == -1 ||
        s_skip(self, -self->offset & 3, error) == -1 ||
        s_skip(self, file_size, error) == -1 ||
        s_skip(self, -self->offset & 3, error) == -1)
        return -1;
    name[name_size] = '\0';
    *is_end_out = strcmp(name, "TRAILER!!!") == 0;
    if (!*is_end_out && strchr(name, '/'))
        s_see(self, name);
    return 0;
}

static int
s_read_archive(scan_t *self, rmt_error_t *error)
{
    self->offset = 0;
    for (bool is_end = false; !is_end;) {
        if (s_read_entry(self, &is_end, error) == -1)
            return -1;
    }
    return 0;
}

// Archives that were compressed together, with zeros between them.
static int
s_read_compressed(scan_t *self, rmt_error_t *error)
{
    self->unpack = rmt_unpack_new(self->input, error);
    if (!self->unpack)
        return -1;
    self->at = self->size = 0;
    for (;;) {
        bool is_over = false;
        while (!is_over && (self->at == self->size || self->data[self->at] == 0)) {
            if (self->at < self->size)
                self->at++;
            else if (s_fill(self, &is_over, error) == -1)
                return -1;
        }
        if (is_over)
            break;
        if (s_read_archive(self, error) == -1)
            return -1;
    }
    rmt_unpack_destroy(&self->unpack);
    return 0;
}

// What comes next in the file: zeros, an archive, or compressed ones.
static int
s_read_all(scan_t *self, rmt_error_t *error)
{
    for (;;) {
        const unsigned char *data;
        size_t there;
        if (rmt_input_peek(self->input, 6, &data, &there, error) == -1)
            return -1;
        if (there == 0)
            return 0;
        if (data[0] == 0) {
            rmt_input_skip(self->input, 1);
            continue;
        }
        self->at = self->size = 0;
        const bool is_plain = there >= 6 && memcmp(data, "07070", 5) == 0;
        if ((is_plain ? s_read_archive(self, error) : s_read_compressed(self, error)) ==
            -1)
            return -1;
    }
}

static int
s_compare_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *
s_list(scan_t *self)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    qsort(self->names, self->count, sizeof *self->names, s_compare_name);
    for (size_t i = 0; i < self->count; i++) {
        if (i == 0 || strcmp(self->names[i - 1], self->names[i]) != 0)
            fprintf(out, "%s\n", self->names[i]);
    }
    if (fclose(out))
        abort();
    return text;
}

static int
s_read_modules(int fd, uint64_t size, const char *version, char **names_out,
               rmt_error_t *error)
{
    struct stat info;
    if (fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "size of the initramfs");
    if (size > (uint64_t) FILE_SIZE_MAX && info.st_size > FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "the initramfs is larger than %d GiB",
                        (int) (FILE_SIZE_MAX >> 30));
    rmt_auto_ptr memory = calloc(1, sizeof(scan_t));
    rmt_auto_ptr names = calloc(MODULES_MAX, sizeof(char *));
    rmt_auto(rmt_input) input = rmt_input_new(fd, size);
    scan_t *self = memory;
    assert(self && names);
    self->input = input;
    self->version = version;
    self->names = names;
    const int rc = s_read_all(self, error);
    rmt_unpack_destroy(&self->unpack);
    if (rc == 0)
        *names_out = s_list(self);
    for (size_t i = 0; i < self->count; i++)
        free(self->names[i]);
    return rc;
}

// ---- What is known of it

struct rmt_initramfs_memory {
    uint32_t margin_s;
    char *names, *version; // NULL: nothing
    struct stat status;
    off_t at;
    uint64_t size;
};

rmt_initramfs_memory_t *
rmt_initramfs_memory_new(uint32_t margin_s)
{
    rmt_initramfs_memory_t *self = calloc(1, sizeof *self);
    assert(self);
    self->margin_s = margin_s;
    return self;
}

static void
s_forget(rmt_initramfs_memory_t *self)
{
    free(self->names);
    free(self->version);
    self->names = self->version = NULL;
}

void
rmt_initramfs_memory_destroy(rmt_initramfs_memory_t **self_p)
{
    rmt_initramfs_memory_t *self = rmt_take(self_p);
    if (!self)
        return;
    s_forget(self);
    free(self);
}

static bool
s_is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
s_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           s_is_same_time(&a->st_mtim, &b->st_mtim) &&
           s_is_same_time(&a->st_ctim, &b->st_ctim);
}

int
rmt_initramfs_modules(rmt_initramfs_memory_t *memory, int fd, uint64_t size,
                      const char *version, char **names_out, rmt_error_t *error)
{
    assert(version);
    assert(names_out);
    struct stat before, after;
    const off_t at = lseek(fd, 0, SEEK_CUR);
    if (!memory || at == -1 || fstat(fd, &before) == -1)
        return s_read_modules(fd, size, version, names_out, error);
    if (memory->names && memory->at == at && memory->size == size &&
        strcmp(memory->version, version) == 0 && s_is_same(&memory->status, &before)) {
        *names_out = rmt_text("%s", memory->names);
        return 0;
    }
    s_forget(memory);
    const int64_t now_s = rmt_clock_wall_ms() / 1000;
    const bool is_old = before.st_ctim.tv_sec + (int64_t) memory->margin_s < now_s;
    if (s_read_modules(fd, size, version, names_out, error) == -1)
        return -1;
    if (is_old && fstat(fd, &after) == 0 && s_is_same(&before, &after)) {
        memory->names = rmt_text("%s", *names_out);
        memory->version = rmt_text("%s", version);
        memory->status = before;
        memory->at = at;
        memory->size = size;
    }
    return 0;
}
