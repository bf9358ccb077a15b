#include "system/rmt_personal.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_own_name.h"
#include "system/rmt_setting.h"
#include "system/rmt_sshd_config.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_SIZE_MAX 65536
#define DEPTH_MAX 6
#define LINES_MAX 3 // Of one file that are told

typedef struct {
    int root_fd;
    rmt_own_name_t name;
    rmt_records_t *actions; // What is planned; its contents count, not those in the tree
    rmt_records_t *warnings;
    size_t left_out;
} warn_t;

static void
s_add(warn_t *self, const char *path, unsigned line, const char *what, const char *text)
{
    if (rmt_records_count(self->warnings) == RMT_PERSONAL_WARNINGS_MAX) {
        self->left_out++;
        return;
    }
    rmt_record_t *warning = rmt_records_add(self->warnings);
    rmt_record_set(warning, "class", "warning");
    rmt_record_set(warning, "path", path);
    if (line)
        rmt_record_set_u64(warning, "line", line);
    rmt_record_set(warning, "what", what);
    rmt_record_set(warning, "text", text);
}

// ---- Names

// Users and groups may be called as the machine is, lists of the whole world mention it,
// and a host key's comment goes with it.
static const char *const s_not_searched[] = {
    "alternatives", "apparmor.d", "fonts",   "group*",     "gshadow*", "hwdb.bin",
    "ld.so.cache",  "localtime",  "magic*",  "mime.types", "passwd*",  "pki",
    "protocols",    "rpc",        "selinux", "services",   "shadow*",  "ssh_host_*",
    "ssl",          "subgid*",    "subuid*", "X11",
};

static void
s_search_text(warn_t *self, const char *path, rmt_span_t text)
{
    unsigned number = 0, told = 0;
    if (text.size > TEXT_SIZE_MAX || memchr(text.start, '\0', text.size))
        return;
    for (rmt_line_t line; told < LINES_MAX && rmt_span_line(&text, &line);) {
        rmt_span_t rest = rmt_span_trim(line.text, " \t"), word;
        number++;
        if (!rest.size || strchr("#;", *rest.start) ||
            !rmt_own_name_find(&self->name, &rest, &word))
            continue;
        rmt_auto_str message =
            rmt_text("names the source, '%.*s'", (int) word.size, word.start);
        s_add(self, path, number, "hostname", message);
        told++;
    }
}

static int
s_search_file(warn_t *self, const char *path, rmt_error_t *error)
{
    struct stat info;
    rmt_auto_fd fd = -1;
    rmt_auto_str text = NULL;
    size_t size = 0;
    if (rmt_rooted_open(self->root_fd, path, &fd, error) == -1)
        return -1;
    if (fd == -1 || fstat(fd, &info) == -1 || info.st_size > TEXT_SIZE_MAX)
        return 0;
    if (rmt_rooted_load(self->root_fd, path, &text, &size, error) == -1)
        return -1;
    if (text)
        s_search_text(self, path, (rmt_span_t){text, size});
    return 0;
}

static bool
s_is_searched(const char *name)
{
    for (size_t i = 0; i < sizeof s_not_searched / sizeof *s_not_searched; i++)
        if (fnmatch(s_not_searched[i], name, 0) == 0)
            return false;
    return true;
}

static int
s_search_folder(warn_t *self, const char *folder, int depth, rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        const mode_t kind = rmt_rooted_kind(self->root_fd, path);
        if (!s_is_searched(name) || rmt_records_find(self->actions, "path", path))
            continue;
        if ((kind == S_IFDIR && depth < DEPTH_MAX &&
             s_search_folder(self, path, depth + 1, error) == -1) ||
            (kind == S_IFREG && s_search_file(self, path, error) == -1))
            return -1;
    }
    return 0;
}

static int
s_search(warn_t *self, rmt_error_t *error)
{
    if (!self->name.count)
        return 0;
    for (size_t i = 0; i < rmt_records_count(self->actions); i++) {
        const rmt_record_t *action = rmt_records_at(self->actions, i);
        size_t size = 0;
        const char *content = rmt_record_get(action, "content", &size);
        // What is written anew has no word of the source's.
        if (content && rmt_record_is(action, "what", "hostname"))
            s_search_text(self, rmt_record_text(action, "path", ""),
                          (rmt_span_t){content, size});
    }
    return s_search_folder(self, "/etc", 0, error);
}

// ---- Identities that cannot be made anew without others: a domain, an authority

static const struct {
    const char *folder;
    const char *pattern;
    const char *text;
} s_rows[] = {
    {"/etc/kubernetes", "kubelet.conf",
     "the certificate of a node; join each copy again"},
    {"/var/lib/kubelet/pki", "*.pem", "the certificate of a node; join each copy again"},
    {"/var/lib/rancher/k3s/agent", "*.key", "the keys of a node; join each copy again"},
    {"/var/lib/samba/private", "secrets.tdb",
     "the account of a machine in a domain; join each copy again"},
    {"/etc/ipa", "default.conf", "an enrolment in FreeIPA; enrol each copy again"},
    {"/etc/chef", "client.pem", "the key of a node; let chef know each copy"},
    {"/etc/cinc", "client.pem", "the key of a node; let chef know each copy"},
    {"/var/lib/tor", "*", "keys of a relay or a service, which all copies share"},
    {"/etc/letsencrypt/live", "*", "certificates that all copies share"},
    {"/etc/ssl/private", "*.key", "a private key that all copies share"},
    {"/etc/ssl/private", "*.pem", "a private key that all copies share"},
    {"/etc/pki/tls/private", "*", "a private key that all copies share"},
    {"/var/lib/snmp", "snmpd.conf", "the engine id of SNMP, which all copies share"},
    {"/var/lib/net-snmp", "snmpd.conf", "the engine id of SNMP, which all copies share"},
};

static void
s_look_for_identities(warn_t *self)
{
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        rmt_auto_str names = rmt_rooted_list(self->root_fd, s_rows[i].folder);
        for (const char *name = names; *name; name += strlen(name) + 1) {
            rmt_auto_str path = rmt_text("%s/%s", s_rows[i].folder, name);
            if (fnmatch(s_rows[i].pattern, name, FNM_PERIOD) == 0)
                s_add(self, path, 0, "identity", s_rows[i].text);
        }
    }
}

static int
s_look_for_ssh(warn_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_records) found = rmt_records_new();
    if (rmt_sshd_config_read(self->root_fd, found, error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_records_count(found); i++) {
        const rmt_record_t *one = rmt_records_at(found, i);
        const bool is_agent = rmt_record_is(one, "class", "host-key-agent");
        if (rmt_record_is(one, "class", "host-key"))
            continue;
        rmt_auto_str text = rmt_text(
            is_agent ? "host keys come from the agent %s, and stay as they are"
                     : "the certificate %s is of the source's key; sign those of copies",
            rmt_record_text(one, "path", ""));
        s_add(self, rmt_record_text(one, "file", ""),
              (unsigned) rmt_record_u64(one, "line", 0), "identity", text);
    }
    if (rmt_rooted_exists(self->root_fd, "/etc/dropbear/dropbear_rsa_host_key") &&
        !rmt_rooted_exists(self->root_fd, "/etc/dropbear/dropbear_ed25519_host_key"))
        s_add(self, "/etc/dropbear/dropbear_rsa_host_key", 0, "identity",
              "is taken away; an old dropbear makes a new one when it starts with -R");
    return 0;
}

// ---- Names that are told to a server

typedef struct {
    warn_t *warn;
    const char *path;
} fixed_t;

static void
s_take_fixed(void *context, rmt_span_t value)
{
    const fixed_t *self = context;
    if (!value.size || rmt_own_name_is_form(&self->warn->name, value))
        return;
    rmt_auto_str text = rmt_text("all copies call themselves '%.*s' to their server",
                                 (int) value.size, value.start);
    s_add(self->warn, self->path, 0, "identity", text);
}

static int
s_look_for_fixed(warn_t *self, rmt_error_t *error)
{
    static const struct {
        const char *path;
        rmt_setting_t setting;
    } rows[] = {
        {"/etc/puppet/puppet.conf", {.keys = "certname", .between = "="}},
        {"/etc/puppetlabs/puppet/puppet.conf", {.keys = "certname", .between = "="}},
        {"/etc/salt/minion", {.keys = "id", .between = ":"}},
        {"/etc/chef/client.rb", {.keys = "node_name", .between = ""}},
        {"/etc/zabbix/zabbix_agentd.conf", {.keys = "Hostname", .between = "="}},
        {"/etc/zabbix/zabbix_agent2.conf", {.keys = "Hostname", .between = "="}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = 0;
        rmt_auto_str text = NULL;
        fixed_t fixed = {self, rows[i].path};
        if (rmt_rooted_load(self->root_fd, rows[i].path, &text, &size, error) == -1)
            return -1;
        if (text)
            rmt_setting_read(&rows[i].setting, (rmt_span_t){text, size}, s_take_fixed,
                             &fixed);
    }
    return 0;
}

// ---- All

int
rmt_personal_warn(int root_fd, rmt_records_t *warnings, rmt_error_t *error)
{
    assert(warnings);
    rmt_error_t ignored = {0};
    warn_t self = {.root_fd = root_fd, .warnings = warnings};
    rmt_auto(rmt_record) target = rmt_record_new();
    rmt_record_set(target, "name", "ramet-copy");
    // What cannot be planned is refused elsewhere, and warned of as if nothing were.
    if (rmt_personal_rehearse(root_fd, target, &self.actions, &ignored) == -1)
        self.actions = rmt_records_new();
    if (rmt_records_find(self.actions, "path", "/.autorelabel"))
        s_add(&self, "/.autorelabel", 0, "label",
              "SELinux is on and has no rules that can be read, so the copy labels its "
              "files at its first start, and then starts again");
    s_look_for_identities(&self);
    int rc = s_look_for_ssh(&self, error) == -1 ||
                     rmt_own_name_read(root_fd, &self.name, error) == -1 ||
                     s_look_for_fixed(&self, error) == -1 || s_search(&self, error) == -1
                 ? -1
                 : 0;
    if (self.left_out) {
        rmt_record_t *last = rmt_records_at(warnings, rmt_records_count(warnings) - 1);
        rmt_auto_str text = rmt_text("%s; and %zu more",
                                     rmt_record_text(last, "text", ""), self.left_out);
        rmt_record_set(last, "text", text);
    }
    rmt_records_destroy(&self.actions);
    return rc;
}

char *
rmt_personal_warning_text(const rmt_record_t *warning)
{
    const char *line = rmt_record_text(warning, "line", "");
    return rmt_text("%s%s%s: %s", rmt_record_text(warning, "path", ""), *line ? ":" : "",
                    line, rmt_record_text(warning, "text", ""));
}
