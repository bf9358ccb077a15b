#include "system/rmt_sshd_config.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_span.h"

#include <fnmatch.h>
#include <string.h>

#define BLANKS " \t\r\f"
#define DEPTH_MAX 16 // As sshd has it
#define FILES_MAX 256

typedef struct {
    int root_fd;
    rmt_records_t *found;
    size_t files; // Read so far
} read_t;

static int s_read_file(read_t *self, const char *path, unsigned depth,
                       rmt_error_t *error);

// ---- Words

// Take one argument off *rest: bare, or in double quotes. A "#" begins a comment.
static bool
s_argument(rmt_span_t *rest, rmt_span_t *word_out)
{
    while (rest->size && strchr(BLANKS, *rest->start)) {
        rest->start++;
        rest->size--;
    }
    if (!rest->size || *rest->start == '#')
        return false;
    if (*rest->start != '"')
        return rmt_span_word(rest, BLANKS, word_out);
    const char *end = memchr(rest->start + 1, '"', rest->size - 1);
    const size_t size = end ? (size_t) (end - rest->start) - 1 : rest->size - 1;
    *word_out = (rmt_span_t){rest->start + 1, size};
    const size_t taken = size + 1 + (end != NULL);
    rest->start += taken;
    rest->size -= taken;
    return true;
}

static void
s_note(read_t *self, const char *class, rmt_span_t value, const char *file, unsigned line)
{
    rmt_auto_str path = rmt_span_dup(value);
    if (path[0] != '/')
        return;
    for (size_t i = 0; i < rmt_records_count(self->found); i++) {
        const rmt_record_t *one = rmt_records_at(self->found, i);
        if (rmt_record_is(one, "class", class) && rmt_record_is(one, "path", path))
            return;
    }
    rmt_record_t *record = rmt_records_add(self->found);
    rmt_record_set(record, "class", class);
    rmt_record_set(record, "path", path);
    rmt_record_set(record, "file", file);
    rmt_record_set_u64(record, "line", line);
}

// ---- Include

// Read every file that fits the rest of a pattern below a folder.
static int
s_read_glob(read_t *self, const char *folder, const char *pattern, unsigned depth,
            rmt_error_t *error)
{
    pattern += strspn(pattern, "/");
    const size_t size = strcspn(pattern, "/");
    rmt_auto_str part = rmt_text("%.*s", (int) size, pattern);
    const bool is_last = pattern[size] == '\0';
    if (!strpbrk(part, "*?[\\")) {
        rmt_auto_str path = rmt_text("%s/%s", folder, part);
        return is_last ? s_read_file(self, path, depth, error)
                       : s_read_glob(self, path, pattern + size, depth, error);
    }
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        if (fnmatch(part, name, FNM_PERIOD) != 0)
            continue;
        if ((is_last ? s_read_file(self, path, depth, error)
                     : s_read_glob(self, path, pattern + size, depth, error)) == -1)
            return -1;
    }
    return 0;
}

static int
s_include(read_t *self, rmt_span_t rest, unsigned depth, rmt_error_t *error)
{
    rmt_span_t word;
    while (s_argument(&rest, &word)) {
        rmt_auto_str name = rmt_span_dup(word);
        rmt_auto_str pattern = rmt_text("%s%s", *name == '/' ? "" : "/etc/ssh/", name);
        if (s_read_glob(self, "", pattern, depth, error) == -1)
            return -1;
    }
    return 0;
}

// ---- Settings

// Host keys stand outside of Match blocks alone, and sshd refuses others; where one
// stands makes no difference here.
static int
s_read_line(read_t *self, rmt_span_t line, const char *path, unsigned number,
            unsigned depth, rmt_error_t *error)
{
    static const struct {
        const char *word, *class;
    } rows[] = {{"HostKey", "host-key"},
                {"HostCertificate", "host-certificate"},
                {"HostKeyAgent", "host-key-agent"}};
    rmt_span_t rest = rmt_span_trim(line, BLANKS), word, value;
    if (!rest.size || *rest.start == '#' || !rmt_span_word(&rest, BLANKS "=", &word))
        return 0;
    rest = rmt_span_trim(rest, BLANKS);
    if (rest.size && *rest.start == '=')
        rest = (rmt_span_t){rest.start + 1, rest.size - 1};
    if (rmt_span_is_nocase(word, "Include"))
        return s_include(self, rest, depth + 1, error);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rmt_span_is_nocase(word, rows[i].word) && s_argument(&rest, &value))
            s_note(self, rows[i].class, value, path, number);
    return 0;
}

static int
s_read_file(read_t *self, const char *path, unsigned depth, rmt_error_t *error)
{
    size_t size = 0;
    unsigned number = 0;
    rmt_auto_str text = NULL;
    if (depth > DEPTH_MAX || self->files++ >= FILES_MAX)
        return 0;
    if (rmt_rooted_load(self->root_fd, path, &text, &size, error) == -1)
        return -1;
    rmt_span_t rest = {text, text ? size : 0};
    for (rmt_line_t line; rmt_span_line(&rest, &line);)
        if (s_read_line(self, line.text, path, ++number, depth, error) == -1)
            return -1;
    return 0;
}

// ---- Options of the service

// "-f FILE", "-h KEY", "-o HostKey=KEY", each also without the blank.
static int
s_read_options(read_t *self, rmt_span_t line, const char *file, unsigned number,
               rmt_error_t *error)
{
    rmt_span_t word, before = {line.start, 0};
    while (rmt_span_word(&line, BLANKS "\"'=", &word)) {
        const bool is_joined = word.size > 2 && word.start[0] == '-' &&
                               strchr("fh", word.start[1]) && word.start[2] == '/';
        const rmt_span_t option = is_joined ? (rmt_span_t){word.start, 2} : before;
        const rmt_span_t value =
            is_joined ? (rmt_span_t){word.start + 2, word.size - 2} : word;
        rmt_auto_str path = rmt_span_dup(value);
        if (*path == '/' && rmt_span_is(option, "-f") &&
            s_read_file(self, path, 0, error) == -1)
            return -1;
        if (rmt_span_is(option, "-h") || rmt_span_is_nocase(option, "HostKey") ||
            rmt_span_is_nocase(option, "-oHostKey"))
            s_note(self, "host-key", value, file, number);
        before = word;
    }
    return 0;
}

static int
s_read_service(read_t *self, const char *path, rmt_error_t *error)
{
    size_t size = 0;
    unsigned number = 0;
    rmt_auto_str text = NULL;
    if (rmt_rooted_load(self->root_fd, path, &text, &size, error) == -1)
        return -1;
    rmt_span_t rest = {text, text ? size : 0};
    for (rmt_line_t line; rmt_span_line(&rest, &line);) {
        const rmt_span_t bare = rmt_span_trim(line.text, BLANKS);
        number++;
        if (bare.size && *bare.start != '#' &&
            s_read_options(self, bare, path, number, error) == -1)
            return -1;
    }
    return 0;
}

typedef int(read_fn)(read_t *self, const char *path, rmt_error_t *error);

static int
s_read_config(read_t *self, const char *path, rmt_error_t *error)
{
    return s_read_file(self, path, 0, error);
}

int
rmt_sshd_config_read(int root_fd, rmt_records_t *found, rmt_error_t *error)
{
    static const struct {
        const char *folder, *pattern;
        read_fn *read;
    } rows[] = {
        {"/etc/ssh", "sshd_config*", s_read_config},
        {"/usr/etc/ssh", "sshd_config*", s_read_config},
        {"/etc/default", "ssh*", s_read_service},
        {"/etc/sysconfig", "ssh*", s_read_service},
        {"/etc/conf.d", "sshd*", s_read_service},
        {"/etc/systemd/system", "ssh*.service", s_read_service},
        {"/etc/systemd/system/ssh.service.d", "*.conf", s_read_service},
        {"/etc/systemd/system/sshd.service.d", "*.conf", s_read_service},
        {"/etc/systemd/system/sshd@.service.d", "*.conf", s_read_service},
        {"/etc/systemd/system/ssh@.service.d", "*.conf", s_read_service},
    };
    read_t self = {.root_fd = root_fd, .found = found};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str names = rmt_rooted_list(root_fd, rows[i].folder);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            rmt_auto_str path = rmt_text("%s/%s", rows[i].folder, name);
            // A folder of this name is that of an Include line.
            if (fnmatch(rows[i].pattern, name, FNM_PERIOD) == 0 &&
                rows[i].read(&self, path, error) == -1)
                return -1;
        }
    }
    return 0;
}
