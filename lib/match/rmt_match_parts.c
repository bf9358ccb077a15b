// The parts of a machine that are one: CPU, memory, firmware.
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// What the kernel keeps for itself differs between kernels, so a twin may show a
// little less memory than the source did: a 32nd is allowed to lack.
#define MEMORY_SLACK 32

static void
s_explain(rmt_match_run_t *run, const char *component, const char *fact,
          const char *wanted, const char *had)
{
    const bool is_same = !wanted[0] || strcmp(wanted, had) == 0;
    rmt_auto_str reason = is_same ? NULL : rmt_text("another %s", fact);
    rmt_record_t *verdict =
        rmt_match_verdict(run, component, wanted, had, is_same, reason);
    rmt_record_set(verdict, "fact", fact);
}

// A field that the image does not tell is not asked of the target.
void
rmt_match_cpu(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    static const char *const fields[] = {"arch", "vendor", "family", "model"};
    const bool family = rmt_match_is(run, row->component, "family");
    const rmt_record_t *image = rmt_records_find(run->image->hardware, "class", "cpu");
    const rmt_record_t *target = rmt_records_find(run->target, "class", "cpu");
    const char *reason = NULL;
    char text[64];
    for (size_t i = 0; i < (family ? 3 : 4); i++) {
        const char *wanted = rmt_match_text(image, fields[i]);
        const char *had = rmt_match_text(target, fields[i]);
        if (run->image->explain)
            s_explain(run, row->component, fields[i], wanted, had);
        if (!reason && wanted[0] && strcmp(wanted, had) != 0) {
            snprintf(text, sizeof text, "another %s", fields[i]);
            reason = text;
        }
    }
    if (run->image->explain)
        return;
    const rmt_record_t *records[] = {image, target};
    char *words[2];
    for (size_t i = 0; i < 2; i++)
        words[i] = rmt_text("%s %s %s %s", rmt_match_text(records[i], "arch"),
                            rmt_match_text(records[i], "vendor"),
                            rmt_match_text(records[i], "family"),
                            rmt_match_text(records[i], "model"));
    rmt_match_verdict(run, row->component, words[0], words[1], reason == NULL, reason);
    free(words[0]);
    free(words[1]);
}

// Sets of instructions that compilers are told to use. Other flags are about the kernel,
// its defences and what a hypervisor lets through, and no program asks for them.
static bool
s_is_instructions(const char *word)
{
    static const char *const sets[] = {
        "cx16",    "lahf_lm", "pni",   "ssse3",  "sse4_1", "sse4_2",     "popcnt",
        "movbe",   "aes",     "xsave", "avx",    "f16c",   "rdrand",     "fma",
        "avx2",    "bmi1",    "bmi2",  "abm",    "rdseed", "adx",        "sha_ni",
        "vaes",    "gfni",    "sse4a", "fma4",   "xop",    "vpclmulqdq", "avx_vnni",
        "asimd",   "pmull",   "sha1",  "sha2",   "crc32",  "atomics",    "fphp",
        "asimdhp", "asimddp", "sha3",  "sha512", "sve",    "sve2",       "i8mm",
        "bf16"};
    if (strncmp(word, "avx512", 6) == 0 || strncmp(word, "amx_", 4) == 0)
        return true;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(word, sets[i]) == 0)
            return true;
    }
    return false;
}

// Programs of the image may be built for what its CPU can do.
void
rmt_match_features(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    const rmt_record_t *image = rmt_records_find(run->image->hardware, "class", "cpu");
    const rmt_record_t *target = rmt_records_find(run->target, "class", "cpu");
    const char *had = rmt_match_text(target, row->field);
    const char *all = rmt_match_text(image, row->field);
    if (!all[0])
        return;
    if (!had[0]) {
        rmt_match_verdict(run, row->component, "", "", true,
                          "the target's facts do not have this component");
        return;
    }
    char wanted[1024] = "";
    char lacking[512] = "";
    size_t wanted_size = 0, lacking_size = 0;
    for (const char *p = all; *p; p += strspn(p, " ")) {
        char word[32];
        const size_t size = strcspn(p, " ");
        snprintf(word, sizeof word, "%.*s", (int) size, p);
        p += size;
        if (size >= sizeof word || !s_is_instructions(word) ||
            wanted_size + size + 2 > sizeof wanted ||
            lacking_size + size + 3 > sizeof lacking)
            continue;
        wanted_size +=
            (size_t) sprintf(wanted + wanted_size, "%s%s", wanted_size ? " " : "", word);
        if (!rmt_match_has_word(had, word))
            lacking_size += (size_t) sprintf(lacking + lacking_size, "%s%s",
                                             lacking_size ? ", " : "", word);
    }
    rmt_auto_str reason = rmt_text("the CPU lacks %s", lacking);
    rmt_match_verdict(run, row->component, wanted, lacking_size ? "fewer" : "all",
                      !lacking_size, lacking_size ? reason : "enough");
}

void
rmt_match_number(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    const bool exact = rmt_match_is(run, row->component, "exact");
    const rmt_record_t *image =
        rmt_records_find(run->image->hardware, "class", row->class);
    const rmt_record_t *target = rmt_records_find(run->target, "class", row->class);
    const uint64_t wanted = image ? rmt_record_u64(image, row->field, 0) : 0;
    const uint64_t had = target ? rmt_record_u64(target, row->field, 0) : 0;
    const bool is_memory = strcmp(row->component, "memory") == 0;
    const uint64_t slack = is_memory ? wanted / MEMORY_SLACK : 0;
    const bool enough = had >= wanted - slack;
    const bool fits = exact ? enough && had <= wanted + slack : enough;
    rmt_auto_str wanted_text = rmt_text("%" PRIu64, wanted);
    rmt_auto_str had_text = rmt_text("%" PRIu64, had);
    const char *reason = had == wanted ? NULL
                         : !enough     ? "less than the image's hardware"
                         : fits        ? "enough"
                                       : "more than the image's hardware";
    rmt_match_verdict(run, row->component, wanted_text, had_text, fits, reason);
}

// NULL, or why this UEFI firmware does not start the image: its loaders are for one
// width, and some are found by an entry alone.
static char *
s_refuse_uefi(const rmt_record_t *image, const rmt_record_t *target)
{
    const char *width = rmt_match_text(image, "efi-bits");
    const char *had_width = rmt_match_text(target, "efi-bits");
    if (width[0] && had_width[0] && strcmp(width, had_width) != 0)
        return rmt_text("the image's loaders are for a UEFI of %s bits, not of %s", width,
                        had_width);
    if (strcmp(rmt_match_text(image, "boot-entries"), "needed") == 0 &&
        strcmp(rmt_match_text(target, "boot-entries"), "none") == 0)
        return rmt_text("the image starts by an entry of the firmware alone, and Linux "
                        "finds no place for entries in the target's; on the source, copy "
                        "the loader to EFI/BOOT/BOOTX64.EFI and image it again");
    return NULL;
}

// The image tells with boot-paths how it can be started; without that it can be
// started only as it was on its source.
void
rmt_match_firmware(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    const rmt_record_t *image =
        rmt_records_find(run->image->hardware, "class", row->class);
    const rmt_record_t *target = rmt_records_find(run->target, "class", row->class);
    const char *had = target ? rmt_record_text(target, row->field, "none") : "none";
    const char *own = image ? rmt_record_text(image, row->field, "none") : "none";
    const char *paths = image ? rmt_record_text(image, "boot-paths", own) : own;
    if (strcmp(had, "none") == 0) {
        rmt_match_verdict(run, row->component, paths, had, true,
                          "the target has no firmware that starts a disk");
        return;
    }
    const bool is_path = rmt_match_has_word(paths, had);
    rmt_auto_str refusal =
        is_path && strcmp(had, "uefi") == 0 ? s_refuse_uefi(image, target) : NULL;
    if (refusal) {
        rmt_match_verdict(run, row->component, paths, had, false, refusal);
        return;
    }
    rmt_auto_str reason = rmt_text(is_path ? "the image has a boot path for %s"
                                           : "the image has no boot path for %s",
                                   had);
    rmt_match_verdict(run, row->component, paths, had, is_path, reason);
}

// Whether the image's loaders are signed shows in that they were started by such a
// firmware.
void
rmt_match_secure_boot(rmt_match_run_t *run, const rmt_match_row_t *row)
{
    const rmt_record_t *image =
        rmt_records_find(run->image->hardware, "class", row->class);
    const rmt_record_t *target = rmt_records_find(run->target, "class", row->class);
    const char *had = rmt_match_text(target, row->field);
    const char *own = rmt_match_text(image, row->field);
    if (!had[0])
        return;
    const bool fits = strcmp(had, "off") == 0 || strcmp(own, "on") == 0;
    const char *reason =
        fits ? (strcmp(had, own) == 0 ? NULL
                                      : "the target's firmware asks for no signatures")
             : "Secure Boot is on, and the source was not started under it: turn it off "
               "in the target's firmware, or set the policy to ignore";
    rmt_match_verdict(run, row->component, own, had, fits, reason);
}
