#include "system/rmt_command.h"
#include "system/rmt_netscan.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const rmt_command_t *command;
    size_t at; // The word that is looked at
    bool is_strict;
    char *what;
    size_t size;
} judge_t;

static const char *
s_word(const judge_t *self, size_t index)
{
    return index < self->command->count ? self->command->words[index] : "";
}

static bool
s_is(const judge_t *self, const char *word)
{
    return strcmp(s_word(self, self->at), word) == 0;
}

static bool
s_tell(judge_t *self, const char *what, const char *value)
{
    snprintf(self->what, self->size, "%s %.60s", what, value);
    return true;
}

// A word that is an address, or may turn out to be one.
static bool
s_tell_address(judge_t *self, size_t index)
{
    const char *word = s_word(self, index);
    const bool is_dynamic =
        index < self->command->count && self->command->dynamic[index] && self->is_strict;
    return (rmt_netscan_is_address(word) || is_dynamic) &&
           s_tell(self, "sets address", word);
}

static bool
s_tell_mac(judge_t *self, size_t index)
{
    const char *word = s_word(self, index);
    const bool is_dynamic =
        index < self->command->count && self->command->dynamic[index] && self->is_strict;
    return (rmt_netscan_is_mac(word) || is_dynamic) && s_tell(self, "sets MAC", word);
}

// As ip(8) takes its words: by their beginnings.
static bool
s_begins(const char *word, const char *whole)
{
    return word[0] && strncmp(whole, word, strlen(word)) == 0;
}

// ip [options] address add ADDRESS dev NAME
static bool
s_judge_address(judge_t *self)
{
    const char *verb = s_word(self, ++self->at);
    if (!s_begins(verb, "add") && !s_begins(verb, "replace") && !s_begins(verb, "change"))
        return false;
    for (size_t i = self->at + 1; i < self->command->count; i++) {
        const char *word = s_word(self, i);
        if (strcmp(word, "dev") == 0 || strcmp(word, "label") == 0 ||
            strcmp(word, "broadcast") == 0 || strcmp(word, "brd") == 0 ||
            strcmp(word, "scope") == 0) {
            i++;
            continue;
        }
        if (s_tell_address(self, i))
            return true;
    }
    return false;
}

// ip link set dev NAME address MAC; ip link add NAME type KIND
static bool
s_judge_link(judge_t *self)
{
    const char *verb = s_word(self, ++self->at);
    const bool is_add = s_begins(verb, "add");
    if (!is_add && !s_begins(verb, "set"))
        return false;
    for (size_t i = self->at + 1; i + 1 < self->command->count; i++) {
        if (strcmp(s_word(self, i), "address") == 0 && s_tell_mac(self, i + 1))
            return true;
        if (is_add && self->is_strict && strcmp(s_word(self, i), "type") == 0)
            return s_tell(self, "makes an interface of type", s_word(self, i + 1));
        if (!is_add && self->is_strict && strcmp(s_word(self, i), "master") == 0)
            return s_tell(self, "puts an interface into", s_word(self, i + 1));
    }
    return false;
}

static bool
s_judge_ip(judge_t *self)
{
    for (self->at++; s_word(self, self->at)[0] == '-'; self->at++) {
        if (s_is(self, "-n") || s_is(self, "-netns") || s_is(self, "-f") ||
            s_is(self, "-family"))
            self->at++;
    }
    const char *object = s_word(self, self->at);
    return s_begins(object, "address") ? s_judge_address(self)
           : s_begins(object, "link")  ? s_judge_link(self)
                                       : false;
}

// ifconfig NAME [inet] ADDRESS ... hw ether MAC
static bool
s_judge_ifconfig(judge_t *self)
{
    for (size_t i = self->at + 2; i < self->command->count; i++) {
        const char *word = s_word(self, i);
        if (strcmp(word, "netmask") == 0 || strcmp(word, "broadcast") == 0 ||
            strcmp(word, "mtu") == 0) {
            i++;
            continue;
        }
        if (strcmp(word, "ether") == 0 ? s_tell_mac(self, i + 1)
                                       : s_tell_address(self, i))
            return true;
    }
    return false;
}

static bool
s_judge_nmcli(judge_t *self)
{
    for (size_t i = self->at + 1; i + 1 < self->command->count; i++) {
        const char *word = s_word(self, i);
        if ((strstr(word, "ipv4.addr") || strstr(word, "ipv6.addr") ||
             strcmp(word, "ip4") == 0 || strcmp(word, "ip6") == 0) &&
            s_tell_address(self, i + 1))
            return true;
        if (strstr(word, "cloned-mac") && s_tell_mac(self, i + 1))
            return true;
    }
    return false;
}

// hostname NAME; hostnamectl set-hostname NAME
static bool
s_judge_name(judge_t *self)
{
    size_t i = self->at + 1;
    if (s_is(self, "hostnamectl")) {
        if (strcmp(s_word(self, i), "set-hostname") != 0 &&
            strcmp(s_word(self, i), "hostname") != 0)
            return false;
        i++;
    }
    const char *name = s_word(self, i);
    return name[0] && name[0] != '-' && strcmp(name, "localhost") != 0 &&
           !self->command->dynamic[i] && s_tell(self, "sets the name", name);
}

static bool
s_judge_sysctl(judge_t *self)
{
    for (size_t i = self->at + 1; i < self->command->count; i++) {
        const char *word = s_word(self, i);
        if (strncmp(word, "kernel.hostname=", 16) == 0 && !self->command->dynamic[i])
            return s_tell(self, "sets the name", word + 16);
    }
    return false;
}

static bool
s_judge_macchanger(judge_t *self)
{
    for (size_t i = self->at + 1; i < self->command->count; i++) {
        const char *word = s_word(self, i);
        if (s_tell_mac(self, i) ||
            (strncmp(word, "--mac=", 6) == 0 && rmt_netscan_is_mac(word + 6) &&
             s_tell(self, "sets MAC", word + 6)))
            return true;
    }
    return false;
}

// Programs that make an interface of others.
static bool
s_judge_shape(judge_t *self)
{
    const char *word = s_word(self, self->at + 1);
    return self->is_strict && word[0] &&
           s_tell(self, "makes an interface of others:", word);
}

static const struct {
    const char *program;
    bool (*judge)(judge_t *self);
} s_programs[] = {
    {"ip", s_judge_ip},
    {"ifconfig", s_judge_ifconfig},
    {"nmcli", s_judge_nmcli},
    {"hostname", s_judge_name},
    {"hostnamectl", s_judge_name},
    {"sysctl", s_judge_sysctl},
    {"macchanger", s_judge_macchanger},
    {"brctl", s_judge_shape},
    {"vconfig", s_judge_shape},
    {"ifenslave", s_judge_shape},
};

// Words that stand before a command, or start it.
static bool
s_is_before(const char *word)
{
    static const char *const words[] = {
        "if",   "then",   "else", "elif",    "do",     "while", "until",   "!",
        "exec", "sudo",   "time", "nohup",   "env",    "nice",  "busybox", "command",
        "eval", "ionice", "-",    "@reboot", "setsid", "run"};
    const char *base = strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(base, words[i]) == 0)
            return true;
    }
    // NAME=VALUE of the environment; the marks of systemd before a program.
    const size_t size =
        strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                     "0123456789_");
    return size && word[size] == '=';
}

bool
rmt_command_judge(const rmt_command_t *command, bool is_strict, char *what_out,
                  size_t what_size)
{
    judge_t self = {
        .command = command, .is_strict = is_strict, .what = what_out, .size = what_size};
    while (self.at < command->count && s_is_before(command->words[self.at]))
        self.at++;
    const char *word = s_word(&self, self.at);
    word += strspn(word, "-@+!:|");
    const char *base = strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
    for (size_t i = 0; i < sizeof s_programs / sizeof *s_programs; i++) {
        if (strcmp(s_programs[i].program, base) == 0)
            return s_programs[i].judge(&self);
    }
    return false;
}
