#include "system/rmt_ssh_keys.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_rooted.h"
#include "system/rmt_span.h"
#include "system/rmt_sshd_config.h"

#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_SIZE_MAX 4096
#define KEY_SIZE_MAX ((size_t) 64 * 1024)
#define RAW_SIZE 64 // Of an Ed25519 key: the secret and the public half
#define PUBLIC_SIZE 32
#define FOLDER "/etc/ssh"

typedef struct {
    int root_fd;
    const char *hostname;
    const char *ssh;    // Where the keys of OpenSSH are, without a link on the way
    const char *folder; // Where keys are made; NULL: none are made
    unsigned made;      // So far
    rmt_records_t *actions;
} plan_t;

// ---- Kinds

// What ssh-keygen calls a kind, and by which words a key of it is known: the name of its
// file, its public half, the head of its private half.
static const struct {
    const char *kind;
    const char *bits;
    const char *words[4];
} s_kinds[] = {
    {"ed25519", "", {"ed25519", NULL}},
    {"ecdsa", "384", {"ecdsa-sha2-nistp384", NULL}},
    {"ecdsa", "521", {"ecdsa-sha2-nistp521", NULL}},
    {"ecdsa", "256", {"ecdsa", "EC PRIVATE KEY", NULL}},
    {"rsa", "3072", {"ssh-rsa", "RSA PRIVATE KEY", "rsa", NULL}},
};

#define KIND_COUNT (sizeof s_kinds / sizeof *s_kinds)

static int
s_kind_of(const char *text)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        for (const char *const *word = s_kinds[i].words; *word; word++)
            if (strstr(text, *word))
                return (int) i;
    return -1;
}

static unsigned
s_digit(char letter)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = letter ? strchr(digits, letter) : NULL;
    return at ? (unsigned) (at - digits) : 64;
}

// The bytes between the lines of a PEM file; no more than fit.
static size_t
s_decode(const char *text, uint8_t *bytes, size_t size_max)
{
    size_t size = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    const char *at = strstr(text, "-----\n");
    for (at = at ? at + 6 : ""; *at && *at != '-' && size < size_max; at++) {
        if (s_digit(*at) == 64)
            continue;
        bits = bits << 6 | s_digit(*at);
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        bytes[size++] = (uint8_t) (bits >> count);
    }
    return size;
}

// The kind of a private key by its own words, which in the form of OpenSSH are encoded.
static int
s_kind_inside(const char *private)
{
    static const char *const words[] = {"ssh-ed25519", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp256",
                                        "ssh-rsa"};
    uint8_t bytes[256];
    const size_t size = s_decode(private, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(bytes, size, words[i], strlen(words[i])))
            return s_kind_of(words[i]);
    return -1;
}

// Of a key at some path: by its public half, by itself, by its name; else the first kind.
static int
s_find_kind(const plan_t *self, const char *path, int *kind_out, rmt_error_t *error)
{
    rmt_auto_str public_path = rmt_text("%s.pub", path);
    rmt_auto_str public = NULL;
    rmt_auto_str private = NULL;
    if (rmt_rooted_load(self->root_fd, public_path, &public, NULL, error) == -1 ||
        rmt_rooted_load(self->root_fd, path, &private, NULL, error) == -1)
        return -1;
    int kind = public ? s_kind_of(public) : -1;
    if (kind == -1 && private)
        kind = strstr(private, "OPENSSH") ? s_kind_inside(private) : s_kind_of(private);
    if (kind == -1)
        kind = s_kind_of(strrchr(path, '/'));
    *kind_out = kind == -1 ? 0 : kind;
    if (private)
        explicit_bzero(private, strlen(private));
    return 0;
}

// ---- Making

static void
s_put(const plan_t *self, const char *path, bool is_public, const void *data, size_t size)
{
    rmt_action_write(self->actions, path, "ssh-host-key", is_public ? 0644 : 0600, data,
                     size);
}

// Make a key pair; *file_out is its private half, beside it lies the public one. Caller
// owns the text.
static int
s_make(plan_t *self, int kind, char **file_out, rmt_error_t *error)
{
    const char *bits = s_kinds[kind].bits;
    rmt_auto_str file = rmt_text("%s/%u", self->folder, self->made++);
    rmt_auto_str comment = rmt_text("root@%s", self->hostname);
    const char *arguments[] = {
        "ssh-keygen", "-q", "-t", s_kinds[kind].kind,    "-N", "",  "-C",
        comment,      "-f", file, bits[0] ? "-b" : NULL, bits, NULL};
    if (rmt_process_run(arguments, NULL, NULL, error) == -1)
        return -1;
    *file_out = rmt_take(&file);
    return 0;
}

// A pair in the form of OpenSSH at this path.
static int
s_plan_pair(plan_t *self, const char *path, int kind, rmt_error_t *error)
{
    rmt_auto_str file = NULL;
    if (self->folder && s_make(self, kind, &file, error) == -1)
        return -1;
    for (int public = 0; public < 2; public ++) {
        rmt_auto_str to = rmt_text("%s%s", path, public ? ".pub" : "");
        rmt_auto_str from = file ? rmt_text("%s%s", file, public ? ".pub" : "") : NULL;
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        if (from && rmt_io_load(from, KEY_SIZE_MAX, &data, &size, error) == -1)
            return -1;
        s_put(self, to, public, data ? data : "", size);
        if (data)
            explicit_bzero(data, size);
    }
    return 0;
}

// The numbers of a fresh Ed25519 key: the private half of OpenSSH's form has them behind
// the name of the kind, the public half (with its length) and a length.
static int
s_make_raw(plan_t *self, uint8_t raw_out[RAW_SIZE], rmt_error_t *error)
{
    static const uint8_t head[] = "ssh-ed25519\0\0\0 ";
    static const uint8_t length[] = {0, 0, 0, RAW_SIZE};
    const size_t before = sizeof head - 1 + PUBLIC_SIZE;
    rmt_auto_str file = NULL;
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    uint8_t bytes[1024];
    if (s_make(self, 0, &file, error) == -1 ||
        rmt_io_load(file, KEY_SIZE_MAX, &data, &size, error) == -1)
        return -1;
    const size_t count = s_decode(data, bytes, sizeof bytes);
    const uint8_t *end = bytes + count;
    const uint8_t *first = memmem(bytes, count, head, sizeof head - 1);
    const uint8_t *at =
        first ? memmem(first + 1, (size_t) (end - first) - 1, head, sizeof head - 1)
              : NULL;
    const bool is_whole = at &&
                          (size_t) (end - at) >= before + sizeof length + RAW_SIZE &&
                          memcmp(at + before, length, sizeof length) == 0;
    if (is_whole)
        memcpy(raw_out, at + before + sizeof length, RAW_SIZE);
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(data, size);
    return is_whole ? 0
                    : rmt_fail(error, RMT_E_UNSUPPORTED,
                               "ssh-keygen wrote an Ed25519 key of an unknown form");
}

// ---- OpenSSH

// The image's keys go first, also keys of kinds that ssh no longer makes; of a link what
// it leads to.
static void
s_plan_removals(const plan_t *self)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, self->ssh);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", self->ssh, name);
        rmt_auto_str real = rmt_rooted_real(self->root_fd, path);
        if (fnmatch("ssh_host_*_key*", name, 0) != 0 ||
            rmt_rooted_kind(self->root_fd, path) == S_IFDIR)
            continue;
        rmt_action_remove(self->actions, path, "ssh-host-key");
        if (real && strcmp(real, path) != 0 &&
            rmt_rooted_kind(self->root_fd, real) == S_IFREG)
            rmt_action_remove(self->actions, real, "ssh-host-key");
    }
}

// Kinds that the image has, or all where its keys were left out of it.
static int
s_plan_usual(plan_t *self, bool has_others, rmt_error_t *error)
{
    static const struct {
        const char *name;
        int kind;
    } rows[] = {{"ed25519", 0}, {"ecdsa", 3}, {"rsa", 4}};
    const size_t count = sizeof rows / sizeof *rows;
    char paths[sizeof rows / sizeof *rows][PATH_SIZE_MAX];
    bool has[sizeof rows / sizeof *rows];
    bool any = has_others || !rmt_rooted_exists(self->root_fd, "/usr/sbin/sshd");
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/ssh_host_%s_key", self->ssh,
                 rows[i].name);
        has[i] = rmt_rooted_exists(self->root_fd, paths[i]);
        any = any || has[i];
    }
    for (size_t i = 0; i < count; i++)
        if ((has[i] || !any) && s_plan_pair(self, paths[i], rows[i].kind, error) == -1)
            return -1;
    return 0;
}

// One of /etc/ssh, of which s_plan_usual takes care.
static bool
s_is_usual(const plan_t *self, const char *path)
{
    rmt_auto_str pattern = rmt_text("%s/ssh_host_*_key", self->ssh);
    return fnmatch(pattern, path, FNM_PATHNAME) == 0;
}

// Keys that the settings name elsewhere. *has_others_out: there is one.
static int
s_plan_named(plan_t *self, bool *has_others_out, rmt_error_t *error)
{
    rmt_auto(rmt_records) found = rmt_records_new();
    *has_others_out = false;
    if (rmt_sshd_config_read(self->root_fd, found, error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_records_count(found); i++) {
        const rmt_record_t *one = rmt_records_at(found, i);
        rmt_auto_str path =
            rmt_rooted_real(self->root_fd, rmt_record_text(one, "path", "/"));
        int kind;
        if (!rmt_record_is(one, "class", "host-key") || !path ||
            rmt_rooted_kind(self->root_fd, path) != S_IFREG || s_is_usual(self, path))
            continue;
        *has_others_out = true;
        const rmt_record_t *before = rmt_records_find(self->actions, "path", path);
        if ((!before || !rmt_record_is(before, "class", "write")) &&
            (s_find_kind(self, path, &kind, error) == -1 ||
             s_plan_pair(self, path, kind, error) == -1))
            return -1;
    }
    return 0;
}

// ---- Others

// Its private half is the raw key, hidden by a dot, and its public one the second half.
static int
s_plan_tinyssh(plan_t *self, rmt_error_t *error)
{
    static const char folder[] = "/etc/tinyssh/sshkeydir";
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    bool has_key = false;
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (rmt_rooted_kind(self->root_fd, path) == S_IFREG)
            rmt_action_remove(self->actions, path, "ssh-host-key");
        has_key = has_key || strcmp(name, ".ed25519.sk") == 0;
    }
    uint8_t raw[RAW_SIZE] = {0};
    if (!has_key)
        return 0;
    if (self->folder && s_make_raw(self, raw, error) == -1)
        return -1;
    s_put(self, "/etc/tinyssh/sshkeydir/.ed25519.sk", false, raw, RAW_SIZE);
    s_put(self, "/etc/tinyssh/sshkeydir/ed25519.pk", true, raw + RAW_SIZE - PUBLIC_SIZE,
          PUBLIC_SIZE);
    explicit_bzero(raw, sizeof raw);
    return 0;
}

// A dropbear that has an Ed25519 key can do with that alone; an older one makes its keys
// anew when it is started with -R.
static int
s_plan_dropbear(plan_t *self, rmt_error_t *error)
{
    static const char *const folders[] = {"/etc/dropbear", "/etc/dropbear/initramfs",
                                          "/etc/dropbear-initramfs"};
    static const uint8_t head[] = {0,   0,   0,   11,  's', 's', 'h', '-', 'e',     'd',
                                   '2', '5', '5', '1', '9', 0,   0,   0,   RAW_SIZE};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        rmt_auto_str names = rmt_rooted_list(self->root_fd, folders[i]);
        rmt_auto_str own = rmt_text("%s/dropbear_ed25519_host_key", folders[i]);
        uint8_t key[sizeof head + RAW_SIZE] = {0};
        for (const char *name = names; *name; name += strlen(name) + 1) {
            rmt_auto_str path = rmt_text("%s/%s", folders[i], name);
            if (fnmatch("dropbear_*_host_key*", name, 0) == 0 &&
                rmt_rooted_kind(self->root_fd, path) != S_IFDIR)
                rmt_action_remove(self->actions, path, "ssh-host-key");
        }
        if (rmt_rooted_kind(self->root_fd, own) != S_IFREG)
            continue;
        memcpy(key, head, sizeof head);
        if (self->folder && s_make_raw(self, key + sizeof head, error) == -1)
            return -1;
        s_put(self, own, false, key, sizeof key);
        explicit_bzero(key, sizeof key);
    }
    return 0;
}

// ---- The plan

static int
s_plan_all(plan_t *self, rmt_error_t *error)
{
    bool has_others;
    s_plan_removals(self);
    return s_plan_named(self, &has_others, error) == -1 ||
                   s_plan_usual(self, has_others, error) == -1 ||
                   s_plan_tinyssh(self, error) == -1
               ? -1
               : s_plan_dropbear(self, error);
}

int
rmt_ssh_keys_plan(int root_fd, const char *hostname, bool has_keys,
                  rmt_records_t *actions, rmt_error_t *error)
{
    // A link to nowhere stays as it is, and nothing is written through it.
    rmt_auto_str ssh = rmt_rooted_real(root_fd, FOLDER);
    plan_t self = {.root_fd = root_fd,
                   .hostname = hostname,
                   .ssh = ssh ? ssh : FOLDER,
                   .actions = actions};
    if (!has_keys)
        return s_plan_all(&self, error);
    // In memory where that is possible, as the keys belong on one disk only.
    char shm[] = "/dev/shm/ramet-keys-XXXXXX";
    char tmp[] = "/tmp/ramet-keys-XXXXXX";
    self.folder = mkdtemp(shm);
    if (!self.folder)
        self.folder = mkdtemp(tmp);
    if (!self.folder)
        return rmt_fail_errno(error, "folder for keys");
    const int rc = s_plan_all(&self, error);
    // The first error is the one to tell.
    rmt_error_t second;
    if (rmt_io_remove_tree(self.folder, rc == -1 ? &second : error) == -1)
        return -1;
    return rc;
}
