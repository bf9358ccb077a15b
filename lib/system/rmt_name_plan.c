#include "system/rmt_name_plan.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_hosts_file.h"
#include "system/rmt_setting.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define EXIM                                                                             \
    "primary_hostname|qualify_domain|qualify_recipient|MAIN_HARDCODE_PRIMARY_HOSTNAME|"  \
    "domainlist local_domains"
#define DHCLIENT                                                                         \
    "send host-name|send fqdn.fqdn|supersede host-name|supersede fqdn.fqdn|"             \
    "default host-name"

#define EXIM_OF_DEBIAN "dc_other_hostnames|dc_readhost|dc_relay_domains"
#define POSTFIX                                                                          \
    "myhostname|mydestination|myorigin|relay_domains|smtp_helo_name|smtpd_banner|"       \
    "virtual_alias_domains|virtual_mailbox_domains"

#define EQUALS(keys_)                                                                    \
    {                                                                                    \
        .keys = keys_, .between = "="                                                    \
    }
#define EQUALS_NOCASE(keys_)                                                             \
    {                                                                                    \
        .keys = keys_, .between = "=", .is_nocase = true                                 \
    }
#define GLUED(keys_)                                                                     \
    {                                                                                    \
        .keys = keys_                                                                    \
    }
#define GOING_ON(keys_)                                                                  \
    {                                                                                    \
        .keys = keys_, .between = "=", .is_continued = true                              \
    }
#define COLON(keys_)                                                                     \
    {                                                                                    \
        .keys = keys_, .between = ":"                                                    \
    }
#define BLANKS(keys_)                                                                    \
    {                                                                                    \
        .keys = keys_, .between = ""                                                     \
    }
#define BLANKS_NOCASE(keys_)                                                             \
    {                                                                                    \
        .keys = keys_, .between = "", .is_nocase = true                                  \
    }

typedef enum {
    S_WORDS, // The words of a value that are the old name
    S_WHOLE, // The value, whatever it is: the place gives the system its name
    S_LINES, // S_WORDS, and every line is a value
} take_t;

// Where a system and its programs keep the name of the machine. docs/spec/3-facts.md
// lists the rows.
static const struct {
    const char *folder;
    const char *pattern;
    take_t take;
    rmt_setting_t setting;
} s_rows[] = {
    {"/etc", "HOSTNAME", S_LINES, EQUALS("")},
    {"/etc", "nodename", S_LINES, EQUALS("")},
    {"/etc", "mailname", S_LINES, EQUALS("")},
    {"/etc/sysconfig", "network", S_WHOLE, EQUALS("HOSTNAME")},
    {"/etc/conf.d", "hostname", S_WHOLE, EQUALS("hostname|HOSTNAME")},
    {"/etc", "rc.conf", S_WHOLE, EQUALS("hostname|HOSTNAME")},
    {"/etc", "machine-info", S_WHOLE, EQUALS("PRETTY_HOSTNAME")},
    // Mail
    {"/etc/postfix", "main.cf", S_WORDS, GOING_ON(POSTFIX)},
    {"/etc/exim4", "update-exim4.conf.conf", S_WORDS, EQUALS(EXIM_OF_DEBIAN)},
    {"/etc/exim4", "exim4.conf*", S_WORDS, EQUALS(EXIM)},
    {"/etc/exim4/conf.d/main", "*", S_WORDS, EQUALS(EXIM)},
    {"/etc/exim", "exim.conf", S_WORDS, EQUALS(EXIM)},
    {"/etc", "exim.conf", S_WORDS, EQUALS(EXIM)},
    {"/etc/nullmailer", "me", S_LINES, EQUALS("")},
    {"/etc/nullmailer", "defaulthost", S_LINES, EQUALS("")},
    {"/etc/nullmailer", "helohost", S_LINES, EQUALS("")},
    {"/etc/qmail/control", "*", S_LINES, EQUALS("")},
    {"/var/qmail/control", "*", S_LINES, EQUALS("")},
    {"/etc/mail", "local-host-names", S_LINES, EQUALS("")},
    {"/etc/mail", "sendmail.cf", S_WORDS, GLUED("Cw|Dj|DM|Dw")},
    {"/etc/ssmtp", "ssmtp.conf", S_WORDS, EQUALS_NOCASE("hostname|rewriteDomain")},
    // Names that are told to others
    {"/etc/dhcp", "dhclient*.conf", S_WORDS, BLANKS(DHCLIENT)},
    {"/etc/dhcp3", "dhclient*.conf", S_WORDS, BLANKS(DHCLIENT)},
    {"/etc", "dhclient*.conf", S_WORDS, BLANKS(DHCLIENT)},
    {"/etc/avahi", "avahi-daemon.conf", S_WORDS, EQUALS("host-name")},
    {"/etc/samba", "smb.conf", S_WORDS, EQUALS_NOCASE("netbios name|server string")},
    {"/etc/snmp", "snmpd.conf", S_WORDS, BLANKS_NOCASE("sysName")},
    {"/etc/snmp/snmpd.conf.d", "*.conf", S_WORDS, BLANKS_NOCASE("sysName")},
    {"/var/lib/snmp", "snmpd.conf", S_WORDS, BLANKS_NOCASE("psysName")},
    {"/var/lib/net-snmp", "snmpd.conf", S_WORDS, BLANKS_NOCASE("psysName")},
    // Agents of management and monitoring
    {"/etc/salt", "minion", S_WORDS, COLON("id")},
    {"/etc/salt/minion.d", "*.conf", S_WORDS, COLON("id")},
    {"/etc/puppet", "puppet.conf", S_WORDS, EQUALS("certname|node_name_value")},
    {"/etc/puppetlabs/puppet", "puppet.conf", S_WORDS,
     EQUALS("certname|node_name_value")},
    {"/etc/chef", "client.rb", S_WORDS, BLANKS("node_name")},
    {"/etc/cloud", "cloud.cfg", S_WORDS, COLON("hostname|fqdn")},
    {"/etc/cloud/cloud.cfg.d", "*.cfg", S_WORDS, COLON("hostname|fqdn")},
    {"/etc", "zabbix_agentd.conf", S_WORDS, EQUALS("Hostname")},
    {"/etc/zabbix", "zabbix_*.conf", S_WORDS, EQUALS("Hostname")},
    {"/etc/zabbix/zabbix_agentd.d", "*.conf", S_WORDS, EQUALS("Hostname")},
    {"/etc/zabbix/zabbix_agentd.conf.d", "*.conf", S_WORDS, EQUALS("Hostname")},
    {"/etc/zabbix/zabbix_agent2.d", "*.conf", S_WORDS, EQUALS("Hostname")},
    {"/etc/munin", "munin-node.conf", S_WORDS, BLANKS("host_name")},
    {"/etc", "collectd.conf", S_WORDS, BLANKS_NOCASE("Hostname")},
    {"/etc/collectd", "collectd.conf", S_WORDS, BLANKS_NOCASE("Hostname")},
    {"/etc/telegraf", "telegraf.conf", S_WORDS, EQUALS("hostname")},
    {"/etc/ganglia", "gmond.conf", S_WORDS, EQUALS("override_hostname")},
    {"/etc/icinga2", "constants.conf", S_WORDS, EQUALS("const NodeName|const ZoneName")},
    {"/etc", "rsyslog.conf", S_WORDS, BLANKS("$LocalHostName")},
    {"/etc/rsyslog.d", "*.conf", S_WORDS, BLANKS("$LocalHostName")},
};

typedef struct {
    int root_fd;
    const rmt_network_t *network;
    const rmt_own_name_t *name;
    rmt_records_t *actions;
} plan_t;

// ---- Values

static char *
s_change_words(void *context, rmt_span_t value)
{
    const plan_t *self = context;
    rmt_span_t rest = value, word;
    const char *end = value.start; // Of what is written
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);
    if (!out)
        abort();
    while (rmt_own_name_find(self->name, &rest, &word)) {
        rmt_auto_str other = rmt_own_name_new(self->network, word);
        fwrite(end, 1, (size_t) (word.start - end), out);
        fputs(other, out);
        end = word.start + word.size;
    }
    fwrite(end, 1, (size_t) (value.start + value.size - end), out);
    if (fclose(out))
        abort();
    if (end > value.start)
        return made;
    free(made);
    return NULL;
}

// What has to be computed stays, and is computed on the copy.
static char *
s_change_whole(void *context, rmt_span_t value)
{
    const plan_t *self = context;
    const rmt_span_t word = rmt_setting_word(value);
    const char *behind = word.start + word.size;
    if (!word.size)
        return NULL;
    rmt_auto_str other = memchr(word.start, ' ', word.size)
                             ? rmt_text("%s", self->network->hostname)
                             : rmt_own_name_new(self->network, word);
    return rmt_text("%.*s%s%.*s", (int) (word.start - value.start), value.start, other,
                    (int) (value.start + value.size - behind), behind);
}

static char *
s_change_lines(plan_t *self, rmt_span_t text, size_t *size_out)
{
    char *made = NULL;
    bool is_changed = false;
    FILE *out = open_memstream(&made, size_out);
    if (!out)
        abort();
    for (rmt_line_t line; rmt_span_line(&text, &line);) {
        rmt_auto_str other = s_change_words(self, line.text);
        if (other)
            fputs(other, out);
        else
            fwrite(line.text.start, 1, line.text.size, out);
        fwrite(line.end.start, 1, line.end.size, out);
        is_changed = is_changed || other;
    }
    if (fclose(out))
        abort();
    if (is_changed)
        return made;
    free(made);
    return NULL;
}

// ---- Files

// What another row has made of it comes before what lies there.
static int
s_load(const plan_t *self, const char *path, char **text_out, size_t *size_out,
       rmt_error_t *error)
{
    const rmt_record_t *action = rmt_records_find(self->actions, "path", path);
    const char *made = action ? rmt_record_get(action, "content", size_out) : NULL;
    if (!made)
        return rmt_rooted_load(self->root_fd, path, text_out, size_out, error);
    *text_out = malloc(*size_out + 1);
    if (!*text_out)
        abort();
    memcpy(*text_out, made, *size_out);
    (*text_out)[*size_out] = '\0';
    return 0;
}

static int
s_save(const plan_t *self, const char *path, const char *text, size_t size,
       rmt_error_t *error)
{
    rmt_record_t *action = rmt_records_find(self->actions, "path", path);
    if (!action)
        return rmt_action_edit(self->root_fd, self->actions, path, "hostname", text, size,
                               error);
    rmt_record_put(action, "content", text, size);
    return 0;
}

static int
s_plan_file(plan_t *self, size_t row, const char *path, rmt_error_t *error)
{
    size_t size = 0, made_size = 0;
    rmt_auto_str text = NULL;
    if (s_load(self, path, &text, &size, error) == -1)
        return -1;
    const rmt_span_t span = {text, text ? size : 0};
    rmt_auto_str made =
        s_rows[row].take == S_LINES
            ? s_change_lines(self, span, &made_size)
            : rmt_setting_change(&s_rows[row].setting, span,
                                 s_rows[row].take == S_WHOLE ? s_change_whole
                                                             : s_change_words,
                                 self, &made_size);
    return made ? s_save(self, path, made, made_size, error) : 0;
}

// A link on the way is followed here, as nothing is written through one.
static int
s_plan_row(plan_t *self, size_t row, rmt_error_t *error)
{
    rmt_auto_str names = rmt_rooted_list(self->root_fd, s_rows[row].folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", s_rows[row].folder, name);
        if (fnmatch(s_rows[row].pattern, name, FNM_PERIOD) != 0)
            continue;
        rmt_auto_str real = rmt_rooted_real(self->root_fd, path);
        if (real && rmt_rooted_kind(self->root_fd, real) == S_IFREG &&
            s_plan_file(self, row, real, error) == -1)
            return -1;
    }
    return 0;
}

static int
s_plan_hosts(const plan_t *self, rmt_error_t *error)
{
    static const char none[] = "127.0.0.1 localhost\n::1 localhost\n";
    size_t size = 0, made_size = 0;
    rmt_auto_str text = NULL;
    rmt_own_address_t address;
    if (rmt_own_address_read(self->root_fd, &address, error) == -1 ||
        rmt_rooted_load(self->root_fd, "/etc/hosts", &text, &size, error) == -1)
        return -1;
    const rmt_span_t span = {text ? text : none, text ? size : sizeof none - 1};
    rmt_auto_str made =
        rmt_hosts_file_edit(span, self->name, &address, self->network, &made_size);
    rmt_action_write(self->actions, "/etc/hosts", "hosts", 0644, made, made_size);
    return 0;
}

int
rmt_name_plan(int root_fd, const rmt_network_t *network, rmt_records_t *actions,
              rmt_error_t *error)
{
    rmt_own_name_t name;
    rmt_auto_str line = rmt_text("%s\n", network->hostname);
    plan_t self = {root_fd, network, &name, actions};
    if (rmt_own_name_read(root_fd, &name, error) == -1 ||
        s_plan_hosts(&self, error) == -1)
        return -1;
    rmt_action_write(actions, "/etc/hostname", "hostname", 0644, line, strlen(line));
    for (size_t row = 0; row < sizeof s_rows / sizeof *s_rows; row++)
        if (s_plan_row(&self, row, error) == -1)
            return -1;
    return 0;
}
