// The disks of a target to which an image is not written, held against the image
// (docs/spec/3-facts.md, [3.63]).
#include "tools/rmt_test.h"
#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "match/rmt_match.h"

#define PV "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
#define VG "hhhhhh-iiii-jjjj-kkkk-llll-mmmm-nnnnnn"
#define ARRAY "0123456789abcdef0123456789abcdef"
#define ROOT "11111111-2222-4333-8444-555555555555"
#define LUKS "66666666-7777-4888-8999-aaaaaaaaaaaa"
#define GUID "DDDDDDDD-0000-4000-8000-000000000001"
#define OTHER "DDDDDDDD-0000-4000-8000-000000000002"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

// A root, a group, LUKS, and a mirror.
static const char s_layout[] =
    "class=disk role=a table=gpt logical-sector=512 bytes=1073741824\n"
    "class=partition disk=a number=1 start=2048 size=204800 type=" LINUX " guid=" GUID
    "\n"
    "class=partition disk=a number=2 start=206848 size=204800 type=" LINUX " guid=" OTHER
    "\n"
    "class=partition disk=a number=3 start=411648 size=204800 type=" LINUX "\n"
    "class=partition disk=a number=4 start=616448 size=204800 type=" LINUX "\n"
    "class=partition disk=a number=5 start=821248 size=204800 type=" LINUX "\n"
    "class=array uuid=" ARRAY " name=host:0 metadata=1.2 level=1 layout=0 slots=2 "
    "size=99614720\n"
    "class=member disk=a array=" ARRAY " partition=3 slot=0 data-start=1048576 "
    "data-size=99614720\n"
    "class=member disk=a array=" ARRAY " partition=4 slot=1 data-start=1048576 "
    "data-size=99614720\n"
    "class=crypt disk=a partition=5 version=2 uuid=" LUKS " cipher=aes-xts-plain64 "
    "key-bytes=64 sector-size=512 hash=sha256 pbkdf=argon2id data-start=16777216\n"
    "class=group name=rhel uuid=" VG " extent-size=4194304\n"
    "class=physical disk=a group=rhel partition=2 uuid=" PV " data-start=1048576 "
    "extents=20\n"
    "class=volume disk=a partition=1 fs=ext4 mount=/ uuid=" ROOT " label=root\n";

static rmt_records_t *
s_facts(const char *text)
{
    rmt_error_t error = {0};
    rmt_records_t *records = rmt_facts_parse(text, &error);
    RMT_OK(records);
    return records;
}

// The one verdict about other disks that a target with this content gets, or NULL.
static rmt_record_t *
s_judge(const char *content)
{
    rmt_error_t error = {0};
    bool fits = false;
    rmt_auto(rmt_records) hardware = s_facts("class=disk role=a name=a bytes=1073741824");
    rmt_auto(rmt_records) records = s_facts(s_layout);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    if (!layout)
        fail_msg("%s", error.text);
    char target[1024];
    snprintf(target, sizeof target,
             "class=disk name=sda serial=S1 bytes=1073741824\n"
             "class=disk name=sdb serial=S2 bytes=1000\n%s",
             content);
    rmt_auto(rmt_records) machine = s_facts(target);
    const rmt_match_config_t config = {.hardware = hardware, .layout = layout};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    rmt_auto(rmt_records) verdicts = rmt_match_target(match, machine, &fits);
    assert_non_null(rmt_records_find(verdicts, "class", "choice"));
    const rmt_record_t *found = rmt_records_find(verdicts, "component", "other-disks");
    assert_int_equal(fits, !found || rmt_record_is(found, "fits", "yes"));
    return found ? rmt_record_dup(found) : NULL;
}

static void
test_m32_what_other_disks_hold_is_held_against_the_image(void **state)
{
    (void) state;
    static const struct {
        const char *content, *words; // NULL: it fits, and nothing is said
    } rows[] = {
        {"kind=group name=rhel uuid=x", "disk sdb (serial S2) is not one"},
        {"kind=group name=rhel uuid=x", "has volume group rhel as the image has"},
        {"kind=group name=renamed uuid=" VG, "volume group renamed"},
        {"kind=group name=rhel2 uuid=x", NULL},
        {"kind=physical uuid=" PV, "a physical volume with UUID aaaaaa"},
        {"kind=array name=host:0 uuid=x", "array host:0"},
        {"kind=array name=other:1 uuid=01234567:89abcdef:01234567:89ABCDEF",
         "array other:1"},
        {"kind=array uuid=x", NULL},
        {"kind=crypto_LUKS uuid=" LUKS, "LUKS with UUID 66666666"},
        {"kind=ext4 uuid=" LUKS "1", NULL},
        {"kind=xfs name=rhel", NULL},
        {"kind=partition uuid=00000000-01", NULL},
        {"kind=partition", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int is_own = 0; is_own < 2; is_own++) {
            char line[256];
            snprintf(line, sizeof line, "class=content disk=%s %s",
                     is_own ? "sda" : "sdb", rows[i].content);
            rmt_auto(rmt_record) verdict = s_judge(line);
            // What lies on the disk that is written is cleared.
            if (!verdict != (is_own || !rows[i].words))
                fail_msg("%s", line);
            if (verdict && !rmt_record_is(verdict, "fits", "no"))
                fail_msg("%s is not refused", line);
            if (verdict && !strstr(rmt_record_text(verdict, "reason", ""), rows[i].words))
                fail_msg("%s: %s", line, rmt_record_text(verdict, "reason", ""));
        }
    }
}

// Each other disk once, by what it is known by.
static void
test_older_copies_on_other_disks_are_named(void **state)
{
    (void) state;
    static const struct {
        const char *content, *names; // NULL: none
    } rows[] = {
        {"class=content disk=sdb kind=partition "
         "uuid=dddddddd-0000-4000-8000-000000000002\n"
         "class=content disk=sdb kind=partition uuid=" GUID "\n"
         "class=content disk=sdc kind=partition uuid=" GUID,
         "S2 (/dev/sdb), S3 (/dev/sdc)"},
        {"class=content disk=sda kind=partition uuid=" GUID, NULL},
        {"class=content disk=sdb kind=partition uuid=" ROOT, NULL},
        {"class=content disk=sdb kind=group name=rhel uuid=" VG, NULL},
    };
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = s_facts(s_layout);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    rmt_auto(rmt_records) chosen = s_facts("class=target role=a name=sda");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "class=disk name=sda serial=S1\nclass=disk name=sdb serial=S2\n"
                 "class=disk name=sdc serial=S3\n%s",
                 rows[i].content);
        rmt_auto(rmt_records) machine = s_facts(text);
        rmt_auto_str names = rmt_match_copies(layout, machine, chosen);
        if (!names != !rows[i].names || (names && strcmp(names, rows[i].names) != 0))
            fail_msg("row %zu: %s", i, names ? names : "none");
    }
}

static void
test_m32_what_is_torn_or_has_one_label_is_told(void **state)
{
    (void) state;
    static const struct {
        const char *content, *words;
    } rows[] = {
        {"class=content disk=sda kind=group name=old uuid=z\n"
         "class=content disk=sdb kind=group name=old uuid=z",
         "volume group old has a part on disk sda (serial S1), which is erased, and one"},
        {"class=content disk=sdb kind=array name=o:1 uuid=z\n"
         "class=content disk=sda kind=array name=o:1 uuid=z",
         "array o:1 has a part on disk sda"},
        {"class=content disk=sdb kind=ext4 uuid=" ROOT,
         "which stays, has ext4 with UUID 11111111"},
        {"class=content disk=sdb kind=partition "
         "uuid=dddddddd-0000-4000-8000-000000000001",
         "which stays, has a partition with UUID dddddddd"},
        {"class=content disk=sdb kind=array name=other:0 uuid=z",
         "has an array that is called 0 as one of the image's"},
        {"class=content disk=sdb kind=xfs name=root uuid=z",
         "has the label 'root' of the image's /"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_record) verdict = s_judge(rows[i].content);
        assert_non_null(verdict);
        assert_true(rmt_record_is(verdict, "warning", "yes"));
        if (!strstr(rmt_record_text(verdict, "reason", ""), rows[i].words))
            fail_msg("%s", rmt_record_text(verdict, "reason", ""));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_what_other_disks_hold_is_held_against_the_image),
        cmocka_unit_test(test_older_copies_on_other_disks_are_named),
        cmocka_unit_test(test_m32_what_is_torn_or_has_one_label_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
