#include "installer/judge.h"
#include "installer/addressing.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_network.h"
#include "wire/rmt_codec.h"

#include <stdio.h>
#include <string.h>

#define FACTS_SIZE_MAX ((size_t) 200 * 1024)
#define NO_IDENTITY                                                                      \
    "its computer tells no identity, so no warrant can name it; give it a UUID in the "  \
    "settings of its firmware and start its agent again"

#define NO_CRYPTSETUP                                                                    \
    "the image has an encrypted partition, and the system of this target's agent has "   \
    "no cryptsetup, or no FUSE; start the machine with a thin-kernel that has it, or "   \
    "install the package cryptsetup and load the module fuse"

// The reasons of all that does not fit, in words; the same one once.
static void
s_set_reason(rmt_record_t *item, const rmt_records_t *verdicts)
{
    char all[1024] = "";
    for (size_t i = 0; i < rmt_records_count(verdicts); i++) {
        const rmt_record_t *verdict = rmt_records_at(verdicts, i);
        if (strcmp(rmt_record_text(verdict, "fits", ""), "no") != 0)
            continue;
        char one[512];
        snprintf(one, sizeof one, "%s: %s", rmt_record_text(verdict, "component", "?"),
                 rmt_record_text(verdict, "reason", "differs"));
        const size_t used = strlen(all);
        if (!strstr(all, one))
            snprintf(all + used, sizeof all - used, "%s%s", used ? "; " : "", one);
    }
    rmt_record_set(item, "reason", all);
}

static void
s_put_packed(rmt_record_t *item, const char *name, const rmt_records_t *records)
{
    rmt_auto(zchunk) packed = rmt_codec_pack_records(records);
    rmt_record_put(item, name, zchunk_data(packed), zchunk_size(packed));
}

// Verdicts and the choice of disks apart.
static void
s_put_verdicts(rmt_record_t *item, const rmt_records_t *all)
{
    rmt_auto(rmt_records) verdicts = rmt_records_new();
    rmt_auto(rmt_records) choice = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(all); i++) {
        rmt_record_t *copy = rmt_record_dup(rmt_records_at(all, i));
        const bool verdict = strcmp(rmt_record_text(copy, "class", ""), "verdict") == 0;
        rmt_records_append(verdict ? verdicts : choice, &copy);
    }
    s_set_reason(item, verdicts);
    s_put_packed(item, "verdicts", verdicts);
    s_put_packed(item, "choice", choice);
}

// Of its main interface, or of another one: net.<role>.address.
static bool
s_has_address(const rmt_record_t *target)
{
    for (size_t i = 0; i < rmt_record_count(target); i++) {
        const char *name = rmt_record_name_at(target, i);
        const char *tail = strrchr(name, '.');
        const bool is_address =
            strcmp(name, "address") == 0 ||
            (strncmp(name, "net.", 4) == 0 && strcmp(tail, ".address") == 0);
        if (is_address && *rmt_record_text(target, name, ""))
            return true;
    }
    return false;
}

// Whether its record has an interface that is made of others.
static bool
s_has_shape(const rmt_record_t *target)
{
    rmt_network_t network;
    rmt_error_t ignored = {0};
    return rmt_network_parse(target, &network, &ignored) == 0 && network.is_shaped;
}

static void
s_warn(rmt_record_t *item, const char *text)
{
    const char *before = rmt_record_text(item, "warnings", "");
    rmt_auto_str all = rmt_text("%s%s%s", before, *before ? "; " : "", text);
    rmt_record_set(item, "warnings", all);
}

// What the target does not get, and the command by which its plain interface becomes the
// first of them, with the addresses that it has.
static void
s_warn_of_shapes(rmt_record_t *item, const rmt_record_t *target, const char *shapes)
{
    char kind[16], name[16];
    const char *mac = rmt_record_has(target, "mac") ? " mac=" : "";
    const bool is_read = sscanf(shapes, "%15s %15[^,]", kind, name) == 2;
    const bool is_vlan = is_read && strcmp(kind, "vlan") == 0;
    const bool is_made =
        is_vlan ||
        (is_read && (strcmp(kind, "bond") == 0 || strcmp(kind, "bridge") == 0));
    rmt_auto_str remedy =
        is_made
            ? rmt_text("to make such ones, set their parts, as in: ramet target set %s "
                       "interface=%s kind=%s %s%s",
                       rmt_record_text(target, "name", "NAME"), name, kind,
                       is_vlan ? "link=eno1 vlan=20" : "ports=eno1,eno2", mac)
            : rmt_text("ramet makes bonds, bridges and VLANs alone, and a script of its "
                       "first boot can make others: ramet script add");
    rmt_auto_str text = rmt_text("the image's network has %s; the target gets plain "
                                 "interfaces instead; %s",
                                 shapes, remedy);
    s_warn(item, text);
}

static void
s_set_warnings(rmt_record_t *item, const rmt_record_t *target, const rmt_record_t *os,
               const installer_rehearsal_t *rehearsal, const rmt_records_t *verdicts)
{
    const char *shapes = rmt_record_text(os, "network-shapes", "");
    const char *shared = rehearsal ? installer_rehearsal_warnings(rehearsal) : "";
    if (!s_has_address(target))
        s_warn(item, "its record has no address, so the target will ask for one by DHCP");
    if (*shapes && !s_has_shape(target))
        s_warn_of_shapes(item, target, shapes);
    for (size_t i = 0; i < rmt_records_count(verdicts); i++) {
        const rmt_record_t *verdict = rmt_records_at(verdicts, i);
        if (rmt_record_has(verdict, "warning"))
            s_warn(item, rmt_record_text(verdict, "reason", ""));
    }
    if (*shared)
        s_warn(item, shared);
}

static rmt_records_t *
s_hardware(const rmt_record_t *target)
{
    size_t size;
    rmt_error_t ignored = {0};
    const void *data = rmt_record_get(target, "hardware", &size);
    return data ? rmt_codec_unpack_records(data, size, FACTS_SIZE_MAX, &ignored) : NULL;
}

// Why a target that fits is not available: its state, and the reason where it has one.
static void
s_set_unavailable(rmt_record_t *item, const rmt_record_t *target, const char *state)
{
    const char *why = rmt_record_text(target, "reason", "");
    rmt_record_setf(item, "reason", "%s%s%s", state, *why ? ": " : "", why);
}

// A warrant names the computer that it is for; its agent refuses every order without one.
static bool
s_judge_identity(const rmt_record_t *target, rmt_records_t *verdicts)
{
    const char *identity = rmt_record_text(target, "identity", "");
    rmt_record_t *verdict = rmt_records_add(verdicts);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", "identity");
    rmt_record_set(verdict, "had", identity);
    rmt_record_set(verdict, "fits", *identity ? "yes" : "no");
    if (!*identity)
        rmt_record_set(verdict, "reason", NO_IDENTITY);
    return *identity;
}

// LUKS is made by a program of the agent's system, with a passphrase of the engine.
static bool
s_judge_luks(const rmt_records_t *hardware, const char *secret_fault,
             rmt_records_t *verdicts)
{
    bool has_program = false;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *one = rmt_records_at(hardware, i);
        has_program = has_program || (rmt_record_is(one, "class", "program") &&
                                      rmt_record_is(one, "name", "cryptsetup"));
    }
    const bool fits = has_program && !*secret_fault;
    rmt_record_t *verdict = rmt_records_add(verdicts);
    rmt_record_set(verdict, "class", "verdict");
    rmt_record_set(verdict, "component", "luks");
    rmt_record_set(verdict, "wanted", "cryptsetup");
    rmt_record_set(verdict, "had", has_program ? "cryptsetup" : "");
    rmt_record_set(verdict, "fits", fits ? "yes" : "no");
    if (!fits)
        rmt_record_set(verdict, "reason", has_program ? secret_fault : NO_CRYPTSETUP);
    return fits;
}

// A record that cannot be completed has its verdict `network`.
static bool
s_judge_configure(const installer_rehearsal_t *rehearsal, const rmt_record_t *target,
                  const rmt_record_t *os, rmt_records_t *verdicts)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_record) record = rmt_record_dup(target);
    return installer_addressing_complete(record, os, &ignored) == -1 ||
           installer_rehearsal_judge(rehearsal, record, verdicts);
}

void
installer_judge(rmt_match_t *match, const rmt_record_t *os,
                const installer_rehearsal_t *rehearsal, const rmt_record_t *target,
                const char *secret_fault, rmt_record_t *item)
{
    const char *state = rmt_record_text(target, "state", "free");
    const bool available = strcmp(state, "free") == 0;
    rmt_record_set(item, "target", rmt_record_text(target, "name", ""));
    rmt_record_set(item, "available", available ? "yes" : "no");
    rmt_auto(rmt_records) hardware = s_hardware(target);
    if (!hardware) {
        rmt_record_set(item, "fits", "no");
        rmt_record_set(item, "reason",
                       "its agent has not sent the hardware yet; start the agent");
        return;
    }
    bool fits = false;
    rmt_auto(rmt_records) verdicts = rmt_match_target(match, hardware, &fits);
    if (!installer_addressing_judge(target, hardware, os, verdicts))
        fits = false;
    if (!s_judge_identity(target, verdicts))
        fits = false;
    if (secret_fault && !s_judge_luks(hardware, secret_fault, verdicts))
        fits = false;
    if (rehearsal && !s_judge_configure(rehearsal, target, os, verdicts))
        fits = false;
    s_put_verdicts(item, verdicts);
    s_set_warnings(item, target, os, rehearsal, verdicts);
    // An image without disks is no reason to begin a job that can write nothing.
    if (fits && !rmt_records_find(verdicts, "class", "choice")) {
        rmt_record_set(item, "reason", "disk: the image's layout has no disk");
        fits = false;
    }
    rmt_record_set(item, "fits", fits ? "yes" : "no");
    if (fits && !available)
        s_set_unavailable(item, target, state);
}
