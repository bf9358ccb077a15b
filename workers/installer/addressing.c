#include "installer/addressing.h"
#include "base/rmt_auto.h"
#include "machine/rmt_inventory.h"
#include "system/rmt_personal.h"
#include "wire/rmt_codec.h"

#include <string.h>

#define FACTS_SIZE_MAX ((size_t) 200 * 1024)

static bool
s_has(const rmt_record_t *target, const char *field)
{
    return *rmt_record_text(target, field, "");
}

static bool
s_has_roles(const rmt_record_t *target)
{
    for (size_t i = 0; i < rmt_record_count(target); i++) {
        if (strncmp(rmt_record_name_at(target, i), "net.", 4) == 0)
            return true;
    }
    return false;
}

// One interface and no word about it: that one is meant, so that its settings go by its
// MAC and not by a name. With several interfaces the right one is unknown; an address on
// all would be wrong.
static int
s_find_interface(const rmt_record_t *target, const rmt_records_t *hardware,
                 char mac_out[RMT_MAC_TEXT_SIZE], rmt_error_t *error)
{
    size_t count;
    rmt_error_t ignored;
    *mac_out = '\0';
    if (s_has(target, "mac") || s_has(target, "interface") || s_has_roles(target))
        return 0;
    rmt_auto_str macs = rmt_inventory_macs(hardware, &count);
    // A driver may tell a number that is none; then the interface goes by its name.
    if (count == 1)
        (void) rmt_address_parse_mac(macs, mac_out, &ignored);
    if (count > 1 && s_has(target, "address"))
        return rmt_fail(error, RMT_E_USAGE,
                        "target %s has %zu interfaces and address %s; name the interface "
                        "of the address by mac= or interface= in its record (MACs: %s)",
                        rmt_record_text(target, "name", "?"), count,
                        rmt_record_text(target, "address", ""), macs);
    return 0;
}

// Whether the record can be carried out. mac_out: the MAC of its only interface where the
// record names none, else "". 0, or -1: as installer_addressing_complete.
static int
s_check(const rmt_record_t *target, const rmt_records_t *hardware, const rmt_record_t *os,
        char mac_out[RMT_MAC_TEXT_SIZE], rmt_error_t *error)
{
    if (rmt_personal_check(target, os, error) == -1)
        return -1;
    return s_find_interface(target, hardware, mac_out, error);
}

int
installer_addressing_complete(rmt_record_t *target, const rmt_record_t *os,
                              rmt_error_t *error)
{
    size_t size = 0;
    rmt_error_t ignored;
    char mac[RMT_MAC_TEXT_SIZE];
    const void *data = rmt_record_get(target, "hardware", &size);
    rmt_auto(rmt_records) hardware =
        data ? rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, &ignored) : NULL;
    if (s_check(target, hardware, os, mac, error) == -1)
        return -1;
    if (*mac)
        rmt_record_set(target, "mac", mac);
    return 0;
}

bool
installer_addressing_judge(const rmt_record_t *target, const rmt_records_t *hardware,
                           const rmt_record_t *os, rmt_records_t *verdicts)
{
    rmt_error_t error = {0};
    char mac[RMT_MAC_TEXT_SIZE];
    const bool fits = s_check(target, hardware, os, mac, &error) == 0;
    const char *address = rmt_record_text(target, "address", "");
    rmt_record_t *verdict = rmt_records_add(verdicts);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", "network");
    rmt_record_set(verdict, "wanted", *address ? address : "DHCP");
    rmt_record_set(verdict, "had", rmt_record_text(os, "network-stack", ""));
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    if (!fits)
        rmt_record_set(verdict, "reason", error.text);
    return fits;
}
