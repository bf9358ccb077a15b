// lib/trust: a warrant is held against the machine and its order (P20, P21).
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "trust/rmt_warrant.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE "010000000000000000000000000000000000000000000000000000000000000000"
#define OTHER "010000000000000000000000000000000000000000000000000000000000000001"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define DISK(disk, bytes)                                                                \
    "class=choice part=choice role=system disk=" disk " name=sda bytes=" bytes "\n"
#define OWN "name=n1 hostname=web-1 address=10.0.0.1/24 mac=52:54:00:00:00:01"
#define REST                                                                             \
    "class=disk part=layout role=system table=gpt logical-sector=512\n"                  \
    "class=partition part=layout disk=system number=1 start=34 size=100 type=" LINUX     \
    "\nclass=target part=personal " OWN "\n"
#define ORDER(image, disk, bytes)                                                        \
    "class=order part=order image=" image " target=n1 place=paris\n" DISK(disk, bytes)   \
        REST
#define SCRIPT "class=script part=personal name=hello content=hello timeout-s=9\n"
#define NOW UINT64_C(1800000000)

typedef struct {
    rmt_sign_key_t operator, imager, stranger;
    rmt_root_t *root, *lenient; // lenient allows images that are not signed
    rmt_records_t *choice, *scripts, *releases, *none;
    char personal[RMT_ID_TEXT_SIZE];
} fixture_t;

static void
s_become(rmt_root_t **root_p, char *text_taken)
{
    rmt_auto_str text = text_taken;
    rmt_error_t error = {0};
    RMT_OK(text);
    rmt_root_destroy(root_p);
    RMT_OK(*root_p = rmt_root_read(text, strlen(text), &error));
}

static rmt_root_t *
s_root(const fixture_t *self, bool allows_unsigned)
{
    rmt_error_t error = {0};
    rmt_root_t *root = NULL;
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
    s_become(&root, rmt_root_draft("mill", 1, allows_unsigned, &error));
    (void) rmt_sign_key_text(&self->operator, key);
    s_become(&root, rmt_root_draft_add(root, RMT_ROOT_ROLE_ORDER, key, "Ada", &error));
    (void) rmt_sign_key_text(&self->imager, key);
    s_become(&root, rmt_root_draft_add(root, RMT_ROOT_ROLE_IMAGE, key, "Bo", &error));
    return root;
}

static rmt_records_t *
s_parse(const char *text)
{
    rmt_error_t error = {0};
    rmt_records_t *records = NULL;
    RMT_OK(records = rmt_facts_parse(text, &error));
    return records;
}

static void
s_digest(const char *target, char out[RMT_ID_TEXT_SIZE])
{
    rmt_id_t id;
    rmt_auto(rmt_records) records = s_parse(target);
    rmt_order_personal_id(rmt_records_at(records, 0), NULL, &id);
    (void) rmt_id_text(&id, out);
}

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    rmt_error_t error = {0};
    rmt_id_t image, script;
    char hash[RMT_ID_TEXT_SIZE];
    rmt_sign_key_new(&self->operator);
    rmt_sign_key_new(&self->imager);
    rmt_sign_key_new(&self->stranger);
    self->root = s_root(self, false);
    self->lenient = s_root(self, true);
    self->choice = s_parse(DISK("S1", "1048576"));
    rmt_id_compute(&script, "hello", 5);
    rmt_auto_str line =
        rmt_text("class=x name=hello hash=%s timeout-s=9\n", rmt_id_text(&script, hash));
    s_digest("class=target " OWN, self->personal);
    self->scripts = s_parse(line);
    RMT_OK(rmt_id_parse(&image, IMAGE, &error));
    rmt_auto_str release = rmt_release_sign(&image, 5, &self->imager);
    RMT_OK(self->releases = rmt_releases_read(release, &error));
    self->none = rmt_records_new();
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    rmt_root_destroy(&self->root);
    rmt_root_destroy(&self->lenient);
    rmt_records_destroy(&self->choice);
    rmt_records_destroy(&self->scripts);
    rmt_records_destroy(&self->releases);
    rmt_records_destroy(&self->none);
    free(self);
    return 0;
}

// One that fits the machine n1 and the order ORDER(IMAGE, "S1", "1048576"); with_script:
// and SCRIPT.
static rmt_warrant_t
s_warrant(const fixture_t *self, bool with_script)
{
    return (rmt_warrant_t){.farm = "mill",
                           .image = IMAGE,
                           .target = "n1",
                           .identity = "uuid:one",
                           .policy = "",
                           .nonce = "0",
                           .personal = self->personal,
                           .issued_s = NOW - 60,
                           .not_after_s = NOW + 60,
                           .least = 5,
                           .choice = self->choice,
                           .scripts = with_script ? self->scripts : self->none};
}

static rmt_warrant_case_t
s_case(const fixture_t *self, const rmt_order_t *order)
{
    return (rmt_warrant_case_t){.root = self->root,
                                .target = "n1",
                                .identity = "UUID:one",
                                .order = order,
                                .releases = self->releases,
                                .now_s = NOW,
                                .newest_s = NOW - 60};
}

static rmt_order_t *
s_order(const char *text)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = s_parse(text);
    rmt_order_t *order = NULL;
    RMT_OK(order = rmt_order_read(records, &error));
    return order;
}

// The check refuses, and names the reason.
static void
s_refused(const char *text, const rmt_warrant_case_t *against, const char *reason)
{
    rmt_error_t error = {0};
    rmt_warrant_signers_t signers;
    RMT_FAILS(rmt_warrant_check(text, against, &signers, &error), RMT_E_NOT_ALLOWED);
    if (!strstr(error.text, reason))
        fail_msg("%s\n  does not say: %s", error.text, reason);
}

// [7.8]
static void
test_a_warrant_that_fits_passes_and_names_its_signers(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576") SCRIPT);
    const rmt_warrant_t warrant = s_warrant(self, true);
    const rmt_warrant_case_t against = s_case(self, order);
    rmt_warrant_signers_t signers;
    rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
    RMT_OK(rmt_warrant_check(text, &against, &signers, &error));
    assert_memory_equal(signers.operator, "Ada (key ", 9);
    assert_string_equal(signers.release.person, "Bo");
    assert_int_equal(signers.release.counter, 5);
}

// [7.8]
static void
test_each_field_of_the_warrant_is_held_against_the_machine(void **state)
{
    const fixture_t *self = *state;
    rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576"));
    const rmt_warrant_case_t against = s_case(self, order);
    rmt_warrant_t rows[] = {s_warrant(self, false), s_warrant(self, false),
                            s_warrant(self, false), s_warrant(self, false),
                            s_warrant(self, false), s_warrant(self, false),
                            s_warrant(self, false), s_warrant(self, false)};
    rows[0].farm = "other";
    rows[1].image = OTHER;
    rows[2].target = "n2";
    rows[3].identity = "uuid:two";
    rows[4].identity = "";
    rows[5].not_after_s = NOW - 1;
    rows[6].issued_s = NOW - 61;
    rows[7].least = 6;
    static const char *const reasons[] = {
        "farm other", ("image " OTHER), "target n2",        "identity",
        "identity",   "ended at",       "has accepted one", "is release 5"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str text = rmt_warrant_sign(&rows[i], &self->operator);
        s_refused(text, &against, reasons[i]);
    }
    rows[7].allow_older = true;
    rmt_error_t error = {0};
    rmt_warrant_signers_t signers;
    rmt_auto_str older = rmt_warrant_sign(&rows[7], &self->operator);
    RMT_OK(rmt_warrant_check(older, &against, &signers, &error));
}

// [7.8]: the disk by what it is known by and by its size, in its role.
static void
test_a_disk_that_the_warrant_lacks_is_refused(void **state)
{
    const fixture_t *self = *state;
    const rmt_warrant_t warrant = s_warrant(self, false);
    rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
    rmt_auto(rmt_order) serial = s_order(ORDER(IMAGE, "S2", "1048576"));
    rmt_warrant_case_t against = s_case(self, serial);
    s_refused(text, &against, "disk 'S2'");
    rmt_auto(rmt_order) size = s_order(ORDER(IMAGE, "S1", "1048577"));
    against = s_case(self, size);
    s_refused(text, &against, "1048577");
}

// [7.12]: each script of the order is in the warrant, and each of the warrant in the
// order.
static void
test_scripts_are_those_of_the_warrant(void **state)
{
    const fixture_t *self = *state;
    static const char *const others[] = {
        "class=script part=personal name=hello content=hallo timeout-s=9\n",
        "class=script part=personal name=other content=hello timeout-s=9\n",
        "class=script part=personal name=hello content=hello timeout-s=1\n",
        "class=script part=personal name=hello content=hello\n",
        SCRIPT "class=script part=personal name=more content=more\n"};
    const rmt_warrant_t warrant = s_warrant(self, true);
    const rmt_warrant_t bare = s_warrant(self, false);
    rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        rmt_auto_str order_text =
            rmt_text("%s%s", ORDER(IMAGE, "S1", "1048576"), others[i]);
        rmt_auto(rmt_order) order = s_order(order_text);
        const rmt_warrant_case_t against = s_case(self, order);
        s_refused(text, &against, "the order runs script");
    }
    rmt_auto(rmt_order) without = s_order(ORDER(IMAGE, "S1", "1048576"));
    rmt_warrant_case_t against = s_case(self, without);
    s_refused(text, &against, "the order lacks script hello");
    rmt_auto(rmt_order) with = s_order(ORDER(IMAGE, "S1", "1048576") SCRIPT);
    against = s_case(self, with);
    rmt_auto_str none = rmt_warrant_sign(&bare, &self->operator);
    s_refused(none, &against, "the order runs script hello");
}

// [7.12]: the name and the network are those of the record for which it was signed; a MAC
// may be added when it is that of the machine's only interface.
static void
test_name_and_network_are_those_of_the_warrant(void **state)
{
    const fixture_t *self = *state;
    static const struct {
        const char *record, *only_mac;
        bool fits;
    } rows[] = {
        {OWN, NULL, true},
        {"rack=r1 release=7 domain=\"\" " OWN, NULL, true}, // Nothing of the copy
        {"name=n1 address=10.0.0.1/24 mac=52:54:00:00:00:01", NULL, false},
        {"name=n1 hostname=web-2 address=10.0.0.1/24 mac=52:54:00:00:00:01", NULL, false},
        {"name=n1 hostname=web-1 address=10.0.0.2/24 mac=52:54:00:00:00:01", NULL, false},
        {OWN " dns=10.0.0.9", NULL, false},
        {OWN " net.data.address=10.1.0.1/24", NULL, false},
        {"name=n1 hostname=web-1 address=10.0.0.1/24", NULL, false},
        {"name=n1 hostname=web-1 address=10.0.0.1/24", "52:54:00:00:00:01", true},
        {"name=n1 hostname=web-1 address=10.0.0.1/24", "52:54:00:00:00:02", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        char digest[RMT_ID_TEXT_SIZE];
        rmt_warrant_signers_t signers;
        rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576"));
        rmt_warrant_t warrant = s_warrant(self, false);
        rmt_warrant_case_t against = s_case(self, order);
        rmt_auto_str line = rmt_text("class=target %s", rows[i].record);
        s_digest(line, digest);
        warrant.personal = digest;
        against.only_mac = rows[i].only_mac;
        rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
        if (!rows[i].fits)
            s_refused(text, &against, "another name or network");
        else if (rmt_warrant_check(text, &against, &signers, &error) == -1)
            fail_msg("%s: %s", rows[i].record, error.text);
    }
}

// [7.9]
static void
test_the_key_of_another_role_or_of_a_stranger_signs_nothing(void **state)
{
    const fixture_t *self = *state;
    rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576"));
    rmt_warrant_case_t against = s_case(self, order);
    const rmt_warrant_t warrant = s_warrant(self, false);
    rmt_auto_str by_stranger = rmt_warrant_sign(&warrant, &self->stranger);
    s_refused(by_stranger, &against, "of a stranger");
    rmt_auto_str by_imager = rmt_warrant_sign(&warrant, &self->imager);
    s_refused(by_imager, &against, "of Bo");
    rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
    *strstr(text, "n1") = 'm';
    s_refused(text, &against, "no true signature");
    *strchr(strstr(text, "class=signature"), '\n') = '\0';
    rmt_error_t error = {0};
    rmt_warrant_signers_t signers;
    RMT_FAILS(rmt_warrant_check(text, &against, &signers, &error), RMT_E_PROTOCOL);
    RMT_FAILS(rmt_warrant_check("", &against, &signers, &error), RMT_E_PROTOCOL);
}

// [7.9]
static void
test_an_unsigned_image_needs_the_leave_of_the_trust_root(void **state)
{
    const fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576"));
    rmt_warrant_case_t against = s_case(self, order);
    rmt_warrant_t warrant = s_warrant(self, false);
    warrant.least = 0;
    against.releases = self->none;
    rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
    s_refused(text, &against, "no true signature by an image key");
    against.root = self->lenient;
    rmt_warrant_signers_t signers;
    RMT_OK(rmt_warrant_check(text, &against, &signers, &error));
    assert_false(signers.is_signed);
    // Its signatures were dropped on the way.
    rmt_auto_str signed_image = NULL;
    warrant.least = 5;
    signed_image = rmt_warrant_sign(&warrant, &self->operator);
    s_refused(signed_image, &against, "is release 0");
}

static void
test_another_form_of_a_warrant_is_refused(void **state)
{
    const fixture_t *self = *state;
    rmt_auto(rmt_order) order = s_order(ORDER(IMAGE, "S1", "1048576"));
    const rmt_warrant_case_t against = s_case(self, order);
    rmt_warrant_t warrant = s_warrant(self, false);
    rmt_auto(rmt_records) twice = s_parse(DISK("S1", "1048576") DISK("S2", "7"));
    rmt_auto(rmt_records) size = s_parse(DISK("S1", "many"));
    const rmt_records_t *const choices[] = {self->none, twice, size};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        rmt_error_t error = {0};
        rmt_warrant_signers_t signers;
        warrant.choice = choices[i];
        rmt_auto_str text = rmt_warrant_sign(&warrant, &self->operator);
        RMT_FAILS(rmt_warrant_check(text, &against, &signers, &error), RMT_E_PROTOCOL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warrant_that_fits_passes_and_names_its_signers),
        cmocka_unit_test(test_each_field_of_the_warrant_is_held_against_the_machine),
        cmocka_unit_test(test_a_disk_that_the_warrant_lacks_is_refused),
        cmocka_unit_test(test_scripts_are_those_of_the_warrant),
        cmocka_unit_test(test_name_and_network_are_those_of_the_warrant),
        cmocka_unit_test(test_the_key_of_another_role_or_of_a_stranger_signs_nothing),
        cmocka_unit_test(test_an_unsigned_image_needs_the_leave_of_the_trust_root),
        cmocka_unit_test(test_another_form_of_a_warrant_is_refused),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
