#include "facts/rmt_location.h"
#include "facts/rmt_address.h"
#include "facts/rmt_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define USER_MORE "._-"
#define SSH_MORE "/._-+=~,:@"          // The other side expands patterns
#define HTTPS_MORE SSH_MORE "?&%;!$()" // No quotes, no blanks

static bool
s_consists(const char *text, const char *more)
{
    for (; *text; text++) {
        if (!isalnum((unsigned char) *text) && !strchr(more, *text))
            return false;
    }
    return true;
}

static int
s_bad(rmt_error_t *error, const char *text, const char *why)
{
    return rmt_fail(error, RMT_E_USAGE,
                    "location '%.200s': %s; write https://HOST/PATH or "
                    "ssh://USER@HOST/PATH",
                    text, why);
}

// HOST or HOST:PORT, an IPv6 host in brackets.
static int
s_take_host(char *authority, const char *text, rmt_location_t *location,
            rmt_error_t *error)
{
    char *host = authority;
    char *end = strrchr(authority, ':');
    if (authority[0] == '[') {
        host++;
        char *bracket = strchr(host, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return s_bad(
                error, text,
                "an address in brackets ends with ], and a port or a path follows");
        *bracket = '\0';
        end = bracket[1] ? bracket + 1 : NULL;
    }
    if (end) {
        const char *digits = end + 1;
        *end = '\0';
        const long port = strtol(digits, NULL, 10);
        if (!*digits || digits[strspn(digits, "0123456789")] || port < 1 || port > 65535)
            return s_bad(error, text, "the port is not a number of 1 to 65535");
        location->port = (uint16_t) port;
    }
    rmt_address_t address;
    const bool is_address = rmt_address_read(host, &address);
    const bool is_host = host == authority
                             ? rmt_name_is_host(host) || (is_address && !address.is_v6)
                             : is_address && address.is_v6;
    if (!is_host || strlen(host) >= sizeof location->host)
        return s_bad(error, text, "the host is not a name or an address");
    strcpy(location->host, host);
    return 0;
}

static int
s_take_authority(const char *begin, size_t size, const char *text,
                 rmt_location_t *location, rmt_error_t *error)
{
    char authority[400];
    if (size == 0 || size >= sizeof authority)
        return s_bad(error, text, "the host is missing or too long");
    memcpy(authority, begin, size);
    authority[size] = '\0';
    char *host = authority;
    char *at = strchr(authority, '@');
    if (at && !location->is_ssh)
        return s_bad(
            error, text,
            "a location of https has no user, because secrets do not belong in it");
    if (at) {
        *at = '\0';
        if (!authority[0] || authority[0] == '-' || !s_consists(authority, USER_MORE) ||
            strlen(authority) >= sizeof location->user)
            return s_bad(error, text, "the user has a character that is not allowed");
        strcpy(location->user, authority);
        host = at + 1;
    }
    return s_take_host(host, text, location, error);
}

int
rmt_location_parse(const char *text, rmt_location_t *location_out, rmt_error_t *error)
{
    static const char https[] = "https://", ssh[] = "ssh://";
    rmt_location_t location = {.is_ssh = strncmp(text, ssh, sizeof ssh - 1) == 0};
    if (!location.is_ssh && strncmp(text, https, sizeof https - 1) != 0)
        return s_bad(error, text, "the scheme is neither https nor ssh");
    if (strlen(text) >= sizeof location.path)
        return s_bad(error, text, "it is too long");
    const char *authority = strstr(text, "://") + 3;
    const char *path = strchr(authority, '/');
    if (!path || !path[1] || !s_consists(path, location.is_ssh ? SSH_MORE : HTTPS_MORE))
        return s_bad(error, text,
                     "the path is missing or has a character that is not allowed");
    if (s_take_authority(authority, (size_t) (path - authority), text, &location,
                         error) == -1)
        return -1;
    strcpy(location.path, path);
    *location_out = location;
    return 0;
}
