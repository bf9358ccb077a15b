#include "disk/rmt_luks.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_random.h"
#include "base/rmt_sysfs.h"
#include "disk/rmt_holders.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT 512 // In which cryptsetup counts offsets
#define NO_PROGRAM                                                                       \
    "this computer has no cryptsetup, which LUKS needs; install the package cryptsetup"

// ---- Reading: lines "NAME: VALUE" of sections, as cryptsetup prints them

typedef struct {
    rmt_layout_crypt_t *crypt;
    rmt_records_t *told;
    const char *words;
    char *section; // Owned: the last line without a value at the margin
    size_t keyslots, segments;
    rmt_error_t *error;
} dump_t;

static void
s_tell(const dump_t *self, const char *reason)
{
    rmt_record_t *told = rmt_records_add(self->told);
    rmt_record_set(told, "path", self->words);
    rmt_record_set(told, "reason", reason);
}

static void
s_set(char **field, const char *value)
{
    free(*field);
    *field = rmt_text("%.*s", (int) strcspn(value, " "), value);
}

static int
s_refuse(const dump_t *self, const char *what)
{
    return rmt_fail(self->error, RMT_E_UNSUPPORTED,
                    "its LUKS header has %s, which is not supported", what);
}

// "aes" and "xts-plain64" of version 1 are one word in version 2.
static void
s_add_mode(rmt_layout_crypt_t *crypt, const char *mode)
{
    char *whole = rmt_text("%s-%s", crypt->cipher ? crypt->cipher : "", mode);
    free(crypt->cipher);
    crypt->cipher = whole;
}

static int
s_take_head(dump_t *self, const char *name, const char *value)
{
    rmt_layout_crypt_t *crypt = self->crypt;
    const bool is_none = *value == '(' || *value == '\0';
    if (strcmp(name, "Version") == 0) {
        crypt->version = strtoull(value, NULL, 10);
    } else if (strcmp(name, "UUID") == 0) {
        if (strlen(value) >= sizeof crypt->uuid)
            return s_refuse(self, "a uuid of another form");
        strcpy(crypt->uuid, value);
    } else if (strcmp(name, "Label") == 0 && !is_none) {
        free(crypt->label);
        crypt->label = rmt_text("%s", value);
    } else if (strcmp(name, "Cipher name") == 0) {
        s_set(&crypt->cipher, value);
    } else if (strcmp(name, "Cipher mode") == 0) {
        s_add_mode(crypt, value);
    } else if (strcmp(name, "Hash spec") == 0) {
        s_set(&crypt->hash, value);
        s_set(&crypt->pbkdf, "pbkdf2");
    } else if (strcmp(name, "Payload offset") == 0) {
        crypt->data_start = strtoull(value, NULL, 10) * UNIT;
    } else if (strcmp(name, "MK bits") == 0) {
        crypt->key_bytes = strtoull(value, NULL, 10) / 8;
    } else if (strcmp(name, "Flags") == 0 && !is_none) {
        s_tell(self, "its LUKS header has flags, which a copy has not");
    } else if (strcmp(name, "Requirements") == 0 && !is_none) {
        return s_refuse(self, "requirements, such as an encryption that is not complete");
    }
    return 0;
}

static int
s_take_segment(const dump_t *self, const char *name, const char *value)
{
    rmt_layout_crypt_t *crypt = self->crypt;
    if (strcmp(name, "offset") == 0)
        crypt->data_start = strtoull(value, NULL, 10);
    else if (strcmp(name, "length") == 0 && strcmp(value, "(whole device)") != 0)
        return s_refuse(self, "data that ends before its partition");
    else if (strcmp(name, "cipher") == 0)
        s_set(&crypt->cipher, value);
    else if (strcmp(name, "sector") == 0)
        crypt->sector = strtoull(value, NULL, 10);
    else if (strcmp(name, "integrity") == 0)
        return s_refuse(self, "checksums of its sectors (dm-integrity)");
    return 0;
}

// Of several keyslots the first tells how passphrases become keys.
static void
s_take_keyslot(const dump_t *self, const char *name, const char *value)
{
    rmt_layout_crypt_t *crypt = self->crypt;
    if (self->keyslots != 1)
        return;
    if (strcmp(name, "Key") == 0)
        crypt->key_bytes = strtoull(value, NULL, 10) / 8;
    else if (strcmp(name, "PBKDF") == 0)
        s_set(&crypt->pbkdf, value);
    else if (strcmp(name, "AF hash") == 0)
        s_set(&crypt->hash, value);
}

// The first line of an item of a section: "  0: crypt".
static int
s_take_item(dump_t *self, const char *kind)
{
    if (strcmp(self->section, "Keyslots") == 0) {
        self->keyslots++;
    } else if (strcmp(self->section, "Data segments") == 0) {
        self->segments++;
        if (self->segments > 1 || strcmp(kind, "crypt") != 0)
            return s_refuse(self, "data in several or unknown segments");
    } else if (strcmp(self->section, "Tokens") == 0) {
        rmt_auto_str text = rmt_text("the LUKS token %.60s opens the source's key alone: "
                                     "a copy asks for its passphrase",
                                     kind);
        s_tell(self, text);
    }
    return 0;
}

static int
s_take_line(dump_t *self, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return 0;
    const bool is_margin = !isspace((unsigned char) *line);
    *colon = '\0';
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    const char *name = line + strspn(line, " \t");
    if (strncmp(line, "Key Slot ", strlen("Key Slot ")) == 0) {
        self->keyslots += strcmp(value, "ENABLED") == 0;
        return 0;
    }
    if (is_margin && !*value) {
        free(self->section);
        self->section = rmt_text("%s", name);
        return 0;
    }
    if (is_margin)
        return s_take_head(self, name, value);
    if (!self->section)
        return 0;
    if (isdigit((unsigned char) *name) && line[0] == ' ')
        return s_take_item(self, value);
    if (strcmp(self->section, "Data segments") == 0)
        return s_take_segment(self, name, value);
    if (strcmp(self->section, "Keyslots") == 0)
        s_take_keyslot(self, name, value);
    return 0;
}

static int
s_check(const dump_t *self)
{
    const rmt_layout_crypt_t *crypt = self->crypt;
    if ((crypt->version != 1 && crypt->version != 2) || !*crypt->uuid || !crypt->cipher ||
        !crypt->hash || !crypt->pbkdf || !crypt->data_start || !crypt->key_bytes)
        return s_refuse(self, "parts that ramet does not know, or no passphrase");
    if (strcmp(crypt->cipher, RMT_LAYOUT_CIPHER) != 0) {
        rmt_auto_str what = rmt_text("the cipher %.60s", crypt->cipher);
        return s_refuse(self, what);
    }
    if (self->keyslots > 1)
        s_tell(self, "it has several passphrases or keys: a copy has one of its own");
    return 0;
}

int
rmt_luks_parse(const char *dump, const char *words, rmt_layout_crypt_t *crypt,
               rmt_records_t *told, rmt_error_t *error)
{
    assert(dump && crypt && told);
    dump_t self = {.crypt = crypt, .told = told, .words = words, .error = error};
    rmt_auto_str copy = rmt_text("%s", dump);
    char *rest = copy, *line;
    int rc = 0;
    while (rc == 0 && (line = strsep(&rest, "\n")))
        rc = s_take_line(&self, line);
    free(self.section);
    return rc == -1 ? -1 : s_check(&self);
}

// A missing program is told with what to install.
static int
s_run(const char *const *arguments, const char *input, char **output_out,
      rmt_error_t *error)
{
    if (rmt_process_run(arguments, input, output_out, error) == 0)
        return 0;
    return error->code == RMT_E_NOT_FOUND ? rmt_fail(error, RMT_E_UNSUPPORTED, NO_PROGRAM)
                                          : -1;
}

int
rmt_luks_read(const char *device, const char *words, rmt_layout_crypt_t *crypt,
              rmt_records_t *told, rmt_error_t *error)
{
    rmt_auto_str dump = NULL;
    const char *arguments[] = {"env", "LC_ALL=C", "cryptsetup", "luksDump", device, NULL};
    if (s_run(arguments, NULL, &dump, error) == -1)
        return -1;
    return rmt_luks_parse(dump, words, crypt, told, error);
}

// ---- Making

int
rmt_luks_check(rmt_error_t *error)
{
    const char *arguments[] = {"env", "LC_ALL=C", "cryptsetup", "--version", NULL};
    return s_run(arguments, NULL, NULL, error);
}

// Without MFD_CLOEXEC: the program reaches it by its path.
static int
s_open_key(const uint8_t *key, size_t size, rmt_error_t *error)
{
    rmt_auto_fd fd = memfd_create("key", 0);
    if (fd == -1)
        return rmt_fail_errno(error, "create a file in memory");
    if (rmt_io_write(fd, key, size, error) == -1)
        return -1;
    return rmt_take_fd(&fd);
}

#define WORDS_MAX 32

int
rmt_luks_format(const rmt_layout_crypt_t *crypt, const char *device,
                const char *passphrase, uint8_t key_out[RMT_LUKS_KEY_MAX],
                rmt_error_t *error)
{
    assert(crypt->key_bytes <= RMT_LUKS_KEY_MAX);
    rmt_random_bytes(key_out, crypt->key_bytes);
    rmt_auto_fd key = s_open_key(key_out, crypt->key_bytes, error);
    if (key == -1)
        return -1;
    rmt_auto_str key_path = rmt_text("/proc/self/fd/%d", key);
    rmt_auto_str type = rmt_text("luks%" PRIu64, crypt->version);
    rmt_auto_str bits = rmt_text("%" PRIu64, crypt->key_bytes * 8);
    rmt_auto_str offset = rmt_text("%" PRIu64, crypt->data_start / UNIT);
    rmt_auto_str sector = rmt_text("%" PRIu64, crypt->sector);
    // The end is for version 2 alone.
    const char *arguments[WORDS_MAX] = {"env",
                                        "LC_ALL=C",
                                        "cryptsetup",
                                        "-q",
                                        "luksFormat",
                                        "--disable-locks",
                                        "--type",
                                        type,
                                        "--uuid",
                                        crypt->uuid,
                                        "--cipher",
                                        crypt->cipher,
                                        "--key-size",
                                        bits,
                                        "--hash",
                                        crypt->hash,
                                        "--pbkdf",
                                        crypt->pbkdf,
                                        "--offset",
                                        offset,
                                        "--key-file",
                                        "-",
                                        "--volume-key-file",
                                        key_path,
                                        device};
    size_t count = 25;
    if (crypt->version == 2) {
        arguments[count++] = "--sector-size";
        arguments[count++] = sector;
        arguments[count++] = "--label";
        arguments[count++] = crypt->label ? crypt->label : "";
    }
    return s_run(arguments, passphrase, NULL, error);
}

// ---- What is open

// "CRYPT-LUKS2-<32 digits>-NAME". False: no mapping of dm-crypt.
static bool
s_take_open(const char *sysfs, const char *holder, rmt_luks_open_t *open_out)
{
    char uuid[RMT_SYSFS_TEXT_SIZE], name[RMT_SYSFS_TEXT_SIZE];
    rmt_sysfs_text(uuid, "%s/class/block/%s/dm/uuid", sysfs, holder);
    if (strncmp(uuid, "CRYPT-", strlen("CRYPT-")) != 0)
        return false;
    rmt_sysfs_text(name, "%s/class/block/%s/dm/name", sysfs, holder);
    const bool is_luks = strncmp(uuid, "CRYPT-LUKS", strlen("CRYPT-LUKS")) == 0;
    const char *digits = strchr(uuid + strlen("CRYPT-"), '-');
    open_out->name = rmt_text("%s", name);
    open_out->device = rmt_text("/dev/%s", holder);
    if (is_luks && digits)
        open_out->uuid = rmt_text("%.*s", (int) strcspn(digits + 1, "-"), digits + 1);
    return true;
}

int
rmt_luks_find_open(const char *sysfs, const char *device, rmt_luks_open_t *open_out,
                   rmt_error_t *error)
{
    assert(sysfs && device && open_out);
    *open_out = (rmt_luks_open_t){.name = NULL};
    rmt_auto_str holders = rmt_holders_list(sysfs, device, error);
    if (!holders)
        return -1;
    for (const char *holder = holders; *holder; holder += strlen(holder) + 1)
        if (s_take_open(sysfs, holder, open_out))
            return 0;
    return 0;
}

void
rmt_luks_open_clear(rmt_luks_open_t *open)
{
    free(open->name);
    free(open->device);
    free(open->uuid);
    *open = (rmt_luks_open_t){.name = NULL};
}
