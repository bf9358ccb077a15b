#include "facts/rmt_switch.h"
#include "facts/rmt_address.h"
#include "facts/rmt_endpoint.h"
#include "facts/rmt_name.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define USER_SIZE_MAX 32
#define SYSTEM_SIZE_MAX 63
#define USER_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

const char *const RMT_SWITCH_WAYS[] = {"none", "wol", "ipmi", "redfish", "exec", NULL};

static bool
s_is_host(const char *text)
{
    rmt_address_t address;
    return rmt_name_is_host(text) || rmt_address_read(text, &address);
}

bool
rmt_switch_part(const char *text, char host_out[RMT_SWITCH_HOST_SIZE], uint16_t *port_out)
{
    assert(text && host_out && port_out);
    rmt_error_t ignored;
    char host[RMT_ENDPOINT_HOST_SIZE];
    *port_out = 0;
    if (strlen(text) < RMT_SWITCH_HOST_SIZE && s_is_host(text)) {
        snprintf(host_out, RMT_SWITCH_HOST_SIZE, "%s", text);
        return true;
    }
    if (rmt_endpoint_split(text, host, port_out, &ignored) == -1 || *port_out == 0 ||
        strpbrk(host, "*@"))
        return false;
    const size_t size = strlen(host);
    const bool is_bracketed = host[0] == '[';
    snprintf(host_out, RMT_SWITCH_HOST_SIZE, "%.*s",
             (int) (is_bracketed ? size - 2 : size), is_bracketed ? host + 1 : host);
    return true;
}

int
rmt_switch_check_way(const char *text, rmt_error_t *error)
{
    for (size_t i = 0; RMT_SWITCH_WAYS[i]; i++)
        if (strcmp(RMT_SWITCH_WAYS[i], text) == 0)
            return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is not a way to switch the power of a machine; write none, wol, "
        "ipmi, redfish or exec",
        text);
}

int
rmt_switch_check_address(const char *text, rmt_error_t *error)
{
    char host[RMT_SWITCH_HOST_SIZE];
    uint16_t port;
    rmt_error_t ignored;
    if (rmt_switch_part(text, host, &port) ||
        rmt_name_check_interface(text, &ignored) == 0)
        return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is not where the power is switched; write the host of the "
        "machine's BMC as in 10.0.9.7, bmc7.lan or 10.0.9.7:6230, or for wol an "
        "interface of the engine or a broadcast address",
        text);
}

int
rmt_switch_check_user(const char *text, rmt_error_t *error)
{
    const size_t size = strlen(text);
    if (size > 0 && size <= USER_SIZE_MAX && strchr(USER_LETTERS, text[0]) &&
        strspn(text, USER_LETTERS "._@-") == size)
        return 0;
    return rmt_fail(error, RMT_E_USAGE,
                    "'%.64s' is not the name of an account at a BMC; write at most %d "
                    "letters, digits and . _ @ -, as in ramet",
                    text, USER_SIZE_MAX);
}

int
rmt_switch_check_boot(const char *text, rmt_error_t *error)
{
    if (strcmp(text, "uefi") == 0 || strcmp(text, "bios") == 0)
        return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is neither uefi nor bios, one of which starts the machine from "
        "the network",
        text);
}

int
rmt_switch_check_system(const char *text, rmt_error_t *error)
{
    const size_t size = strlen(text);
    if (size > 0 && size <= SYSTEM_SIZE_MAX && text[0] != '.' &&
        strspn(text, USER_LETTERS "._:-") == size)
        return 0;
    return rmt_fail(
        error, RMT_E_USAGE,
        "'%.64s' is not the id of a system of a BMC; write at most %d letters, "
        "digits and . _ : -, as in 1 or System.Embedded.1",
        text, SYSTEM_SIZE_MAX);
}
