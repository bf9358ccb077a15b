#include "facts/rmt_name.h"

#include <ctype.h>
#include <string.h>

#define HOST_MAX 253 // Of a name in the DNS
#define HOST_LABEL_MAX 63
#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// At most size_max of these letters, the first of them one of first.
static bool
s_consists(const char *text, const char *first, const char *letters, size_t size_max)
{
    const size_t size = strlen(text);
    return size > 0 && size <= size_max && strchr(first, text[0]) &&
           strspn(text, letters) == size;
}

// Labels of letters, digits and inner hyphens, with dots between.
static bool
s_is_labels(const char *text)
{
    size_t label = 0;
    for (size_t i = 0;; i++) {
        if (text[i] == '.' || text[i] == '\0') {
            if (label == 0 || label > HOST_LABEL_MAX || text[i - 1] == '-')
                return false;
            if (text[i] == '\0')
                return i <= HOST_MAX;
            label = 0;
            continue;
        }
        if (!strchr(LETTERS, text[i]) && (text[i] != '-' || label == 0))
            return false;
        label++;
    }
}

bool
rmt_name_is_host(const char *text)
{
    const bool is_number = strchr(text, '.') && !text[strspn(text, "0123456789.")];
    return s_is_labels(text) && !is_number;
}

int
rmt_name_check(const char *text, rmt_error_t *error)
{
    if (s_consists(text, LOWER, LOWER "._-", RMT_NAME_MAX))
        return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is not a name; write 1 to %d of a-z 0-9 . _ - and begin with "
        "a letter or digit, as in r12-n01",
        text, RMT_NAME_MAX);
}

int
rmt_name_check_hostname(const char *text, rmt_error_t *error)
{
    if (rmt_name_is_host(text) && strlen(text) <= RMT_HOSTNAME_MAX)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not a host name; write at most %d letters, digits and "
                    "inner hyphens with dots between, as in web-1 or web-1.lan",
                    text, RMT_HOSTNAME_MAX);
}

int
rmt_name_check_domain(const char *text, rmt_error_t *error)
{
    if (rmt_name_is_host(text))
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not a domain; write letters, digits and inner hyphens "
                    "with dots between, as in lan or example.org",
                    text);
}

// Narrower than the kernel, which takes almost any byte: this name goes into the files
// and onto the command lines of many programs.
int
rmt_name_check_interface(const char *text, rmt_error_t *error)
{
    static const char *const taken[] = {"lo", "all", "default"};
    bool is_good = s_consists(text, LETTERS, LETTERS "._-", RMT_INTERFACE_MAX) &&
                   text[strspn(text, "0123456789")];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        is_good = is_good && strcmp(text, taken[i]) != 0;
    if (is_good)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not the name of an interface; write at most %d letters, "
                    "digits and . _ -, as in eth0 or enp1s0",
                    text, RMT_INTERFACE_MAX);
}

int
rmt_name_check_role(const char *text, rmt_error_t *error)
{
    if (strcmp(text, "main") == 0)
        return rmt_fail(error, RMT_E_USAGE,
                        "the interface main takes its fields without net.main., as in "
                        "address=10.0.0.7/24");
    if (s_consists(text, LOWER, LOWER "_-", RMT_ROLE_MAX))
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not the role of an interface; write at most %d of a-z "
                    "0-9 _ -, as in net.data.address",
                    text, RMT_ROLE_MAX);
}

static bool
s_is_line(const char *text, size_t size_max)
{
    for (const char *at = text; *at; at++) {
        if (iscntrl((unsigned char) *at))
            return false;
    }
    return strlen(text) <= size_max;
}

int
rmt_name_check_value(const char *text, rmt_error_t *error)
{
    if (s_is_line(text, RMT_VALUE_MAX))
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "a label has at most %d bytes and no control characters, as in "
                    "rack=r12",
                    RMT_VALUE_MAX);
}

int
rmt_name_check_identity(const char *text, rmt_error_t *error)
{
    static const char *const kinds[] = {"uuid:", "board:", "mac:"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t size = strlen(kinds[i]);
        if (strncmp(text, kinds[i], size) == 0 && text[size] &&
            s_is_line(text, RMT_IDENTITY_MAX))
            return 0;
    }
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not the identity of a computer; write uuid:, board: or "
                    "mac: and its value on one line, as in "
                    "uuid:11111111-2222-3333-4444-555555555555",
                    text);
}
