// One grammar for what people say of machines (H1): a table of records, run against every
// door that takes them. M1: what is entered is checked when it is entered. M12: the plan
// says why. M18: what is personalised is what was parsed. M33: nothing is found out late.
#include "tools/rmt_test.h"

#include <czmq.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_fields.h"
#include "facts/rmt_network.h"
#include "facts/rmt_order.h"
#include "installer/addressing.h"
#include "installer/judge.h"
#include "system/rmt_personal.h"
#include "wire/rmt_codec.h"

#define DISK "class=disk role=system name=vda bus=virtio media=virtual bytes=1000\n"
#define NIC "class=nic name=eth0 mac=52:54:00:00:00:01\n"
#define NIC_2 "class=nic name=eth1 mac=52:54:00:00:00:02\n"
#define A "address=10.0.0.7/24 "
#define DATA "net.data.mac=52:54:00:00:00:02 net.data.address=10.1.0.7/16 "
#define LETTERS_64 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-0123456789"

typedef enum {
    GOOD,
    FIELD, // Refused by set, and by all behind it
    WHOLE, // Each field is good; refused by the plan, and by all behind it
} verdict_t;

typedef struct {
    const char *fields;
    verdict_t verdict;
    const char *words; // Of the error: what to write
} row_t;

static const row_t s_rows[] = {
    {"", GOOD, NULL},
    {"address=\"\"", GOOD, NULL},
    {"address=10.0.0.7/24", GOOD, NULL},
    {"address=10.0.0.7 mask=255.255.255.0", GOOD, NULL},
    {"address=10.0.0.7 prefix=24", GOOD, NULL},
    {A "mask=255.255.255.0", GOOD, NULL},
    {A "mask=255.255.255.0 prefix=24", GOOD, NULL},
    {"address=10.0.0.7/24,10.1.0.7 mask=255.255.0.0", GOOD, NULL},
    {"address=\"10.0.0.7/24 10.0.0.8/24\"", GOOD, NULL},
    {"address=fd00::7/64", GOOD, NULL},
    {"address=fd00::7 prefix=64", GOOD, NULL},
    {"address=10.0.0.7/24,fd00::7/64 gateway=10.0.0.1,fd00::1", GOOD, NULL},
    {"address=fd00::7/64 gateway=fe80::1", GOOD, NULL},
    {"address=10.0.0.7/32 gateway=172.16.0.1", GOOD, NULL},
    {"address=10.0.0.0/31", GOOD, NULL},
    {A "gateway=10.0.0.1 dns=10.0.0.2,fd00::2 domain=example.org", GOOD, NULL},
    {"dns=127.0.0.53", GOOD, NULL},
    {"mac=52:54:00:AB:cd:EF", GOOD, NULL},
    {"mac=52-54-00-ab-cd-ef", GOOD, NULL},
    {"interface=enp0s31f6", GOOD, NULL},
    {"interface=eth0.100", GOOD, NULL},
    {"interface=fifteen-letters", GOOD, NULL},
    {"net.bond0.ports=eno1,eno2 net.bond0.mode=802.3ad", GOOD, NULL},
    {"net.v7.link=eno1 net.v7.vlan=4094", GOOD, NULL},
    {"hostname=web-1.lan", GOOD, NULL},
    {"hostname=42", GOOD, NULL},
    {"hostname=" LETTERS_64, FIELD, "host name"}, // A label has 63
    {"mask=255.255.255.0", GOOD, NULL},
    {A "mac=52:54:00:00:00:01 " DATA, GOOD, NULL},
    {A "interface=eth0 net.data.interface=eth1 net.data.address=10.1.0.7 "
       "net.data.prefix=16",
     GOOD, NULL},
    {DATA, GOOD, NULL},

    {"address=10.0.0.7", FIELD, "write 10.0.0.7/24"},
    {"address=fd00::7", FIELD, "write fd00::7/64"},
    {"address=fd00::7 mask=255.255.255.0", FIELD, "prefix=64"},
    {"address=10.0.0.7/24,10.0.0.8", FIELD, "write 10.0.0.8/24"},
    {"address=10.0.0.300/24", FIELD, "10.0.0.7/24"},
    {"address=10.0.0/24", FIELD, "10.0.0.7/24"},
    {"address=010.0.0.7/24", FIELD, "10.0.0.7/24"},
    {"address=10.0.0.7/33", FIELD, "write 10.0.0.7/24"},
    {"address=10.0.0.7/0", FIELD, "write 10.0.0.7/24"},
    {"address=10.0.0.7/", FIELD, "write 10.0.0.7/24"},
    {"address=10.0.0.7/+24", FIELD, "write 10.0.0.7/24"},
    {"address=10.0.0.7 prefix=64", FIELD, "write 10.0.0.7/24"},
    {"address=fd00::7/129", FIELD, "write fd00::7/64"},
    {"address=fe80::1%eth0/64", FIELD, "fd00::7/64"},
    {"address=0.0.0.0/24", FIELD, "10.0.0.1"},
    {"address=127.0.0.1/8", FIELD, "10.0.0.7/24"},
    {"address=224.0.0.1/24", FIELD, "multicast"},
    {"address=255.255.255.255/32", FIELD, "broadcast"},
    {"address=ff02::1/64", FIELD, "multicast"},
    {"address=::1/128", FIELD, "fd00::7/64"},
    {"address=::ffff:10.0.0.7/96", FIELD, "write it as IPv4"},
    {"address=10.0.0.0/24", FIELD, "first or last"},
    {"address=10.0.0.255 mask=255.255.255.0", FIELD, "first or last"},
    {"address=web-1", FIELD, "10.0.0.7/24"},
    {"address=\", ,\"", FIELD, "10.0.0.7/24"},
    {"mask=255.0.255.0", FIELD, "255.255.255.0"},
    {"mask=0.0.0.0", FIELD, "255.255.255.0"},
    {"mask=24", FIELD, "255.255.255.0"},
    {"prefix=0", FIELD, "such as 24"},
    {"prefix=129", FIELD, "such as 24"},
    {"prefix=x", FIELD, "such as 24"},
    {A "gateway=router", FIELD, "10.0.0.1"},
    {A "gateway=10.0.0.1/24", FIELD, "10.0.0.1"},
    {A "gateway=0.0.0.0", FIELD, "10.0.0.1"},
    {A "gateway=10.0.0.1,10.0.0.2", FIELD, "have one family"},
    {"dns=\"10.0.0.2 x\"", FIELD, "10.0.0.1"},
    {"dns=dns.lan", FIELD, "10.0.0.1"},
    {"domain=\"a\\x0ab\"", FIELD, "example.org"},
    {"domain=.lan", FIELD, "example.org"},
    {"mac=52:54:00:12:34", FIELD, "52:54:00:12:34:56"},
    {"mac=52:54:00:12:34:5g", FIELD, "52:54:00:12:34:56"},
    {"mac=525400123456", FIELD, "52:54:00:12:34:56"},
    {"mac=52:54:00:12:34:56:78", FIELD, "52:54:00:12:34:56"},
    {"mac=01:00:5e:00:00:01", FIELD, "multicast"},
    {"mac=ff:ff:ff:ff:ff:ff", FIELD, "multicast"},
    {"mac=00:00:00:00:00:00", FIELD, "empty MAC"},
    {"interface=thirty-letters-are-a-few-more", FIELD, "at most 15"},
    {"interface=sixteen-letters-", FIELD, "at most 15"},
    {"interface=eth0:1", FIELD, "as in eth0"},
    {"ports=eno1/2", FIELD, "as in eth0"},
    {"kind=ring", FIELD, "bond, bridge or vlan"},
    {"mode=1", FIELD, "active-backup"},
    {"vlan=0", FIELD, "1 to 4094"},
    {"interface=a/b", FIELD, "as in eth0"},
    {"interface=\"a b\"", FIELD, "as in eth0"},
    {"interface=\"eth0\\x0aup touch /x\"", FIELD, "as in eth0"},
    {"interface=..", FIELD, "as in eth0"},
    {"interface=lo", FIELD, "as in eth0"},
    {"interface=-x", FIELD, "as in eth0"},
    {"interface=12", FIELD, "as in eth0"},
    {"hostname=-a", FIELD, "web-1"},
    {"hostname=a..b", FIELD, "web-1"},
    {"hostname=\"a b\"", FIELD, "web-1"},
    {"hostname=n_1", FIELD, "web-1"},
    {"hostname=10.0.0.7", FIELD, "web-1"},
    {DATA "net.data.gateway=x", FIELD, "10.0.0.1"},
    {"net.data=1", FIELD, "net.data.address"},
    {"net.Data.mac=52:54:00:00:00:02", FIELD, NULL}, // No name of a field at all
    {"net.main.mac=52:54:00:00:00:02", FIELD, "net.data.address"},
    {DATA "net.data.adress=10.1.0.7/16", FIELD, "net.data.address"},

    {"gateway=10.0.0.1", WHOLE, "address=10.0.0.7/24"},
    {A "gateway=fe80::1", WHOLE, "address=fd00::7/64"},
    {A "gateway=10.0.0.7", WHOLE, "own address"},
    {A "mask=255.255.0.0", WHOLE, "remove mask"},
    {A "prefix=16", WHOLE, "remove prefix"},
    {"address=10.0.0.7 mask=255.255.255.0 prefix=16", WHOLE, "remove one"},
    {"address=10.0.0.7/24,10.0.0.7/16", WHOLE, "twice"},
    {A DATA, WHOLE, "set mac="},
    {"dns=10.0.0.2 " DATA, WHOLE, "set mac="},
    {A "mac=52:54:00:00:00:02 " DATA, WHOLE, "only one can have it"},
    {A "interface=eth1 net.data.interface=eth1", WHOLE, "only one can have it"},
    {A "mac=52:54:00:00:00:01 net.data.address=10.0.0.7/16 net.data.interface=eth1",
     WHOLE, "only one can have it"},
    {A "mac=52:54:00:00:00:01 gateway=10.0.0.1 " DATA "net.data.gateway=10.1.0.1", WHOLE,
     "remove one"},
};

#define ROW_COUNT (sizeof s_rows / sizeof *s_rows)
_Static_assert(ROW_COUNT >= 60, "the table has at least 60 records");

// ---- The doors

// Caller owns the result; NULL where the text is no record at all.
static rmt_record_t *
s_record(const char *fields)
{
    rmt_error_t ignored;
    rmt_auto_str line = rmt_text("class=target name=n1 %s", fields);
    rmt_auto(rmt_records) records = rmt_facts_parse(line, &ignored);
    return records ? rmt_record_dup(rmt_records_at(records, 0)) : NULL;
}

static int
s_set(const rmt_record_t *record, rmt_error_t *error)
{
    rmt_auto(rmt_record) changes = rmt_record_dup(record);
    return rmt_fields_check("target", changes, NULL, error);
}

// The verdicts on a record of hardware on an image with this stack. Caller owns it.
static rmt_record_t *
s_judge(const rmt_record_t *record, const char *nics, const char *stack,
        const char *by_name)
{
    rmt_error_t error = {0};
    rmt_auto_str text = rmt_text("%s%s", DISK, nics);
    rmt_auto(rmt_records) image = rmt_facts_parse(text, &error);
    rmt_auto(rmt_records) hardware = rmt_facts_parse(text, &error);
    rmt_auto(zchunk) packed = rmt_codec_pack_records(hardware);
    rmt_auto(rmt_record) target = rmt_record_dup(record);
    rmt_record_set(target, "identity", "uuid:1");
    rmt_record_put(target, "hardware", zchunk_data(packed), zchunk_size(packed));
    rmt_auto(rmt_record) os = rmt_record_new();
    rmt_record_set(os, "network-stack", stack);
    rmt_record_set(os, "network-by-name", by_name);
    const rmt_match_config_t config = {.hardware = image};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    rmt_record_t *item = rmt_record_new();
    installer_judge(match, os, NULL, target, NULL, item);
    return item;
}

static int
s_judged(const rmt_record_t *item, rmt_error_t *error)
{
    size_t size = 0;
    const void *packed = rmt_record_get(item, "verdicts", &size);
    rmt_auto(rmt_records) verdicts =
        rmt_codec_unpack_records(packed, size, size + 1, error);
    const rmt_record_t *verdict = rmt_records_find(verdicts, "component", "network");
    assert_non_null(verdict);
    const char *fits = rmt_record_text(verdict, "fits", "");
    assert_string_equal(fits, rmt_record_text(item, "fits", ""));
    return strcmp(fits, "yes") == 0 ? 0
                                    : rmt_fail(error, RMT_E_USAGE, "%s",
                                               rmt_record_text(verdict, "reason", ""));
}

static int
s_plan(const rmt_record_t *record, rmt_error_t *error)
{
    rmt_auto(rmt_record) item = s_judge(record, NIC, "networkd", "");
    return s_judged(item, error);
}

static int
s_order(const rmt_record_t *record, rmt_error_t *error)
{
    rmt_auto(rmt_record) target = rmt_record_dup(record);
    return installer_addressing_complete(target, NULL, error);
}

// As the agent reads it before anything is armed.
static int
s_prepare(const rmt_record_t *record, rmt_error_t *error)
{
    const rmt_id_t image = {{RMT_ID_SHA256}};
    rmt_auto(rmt_order) order = rmt_order_new(&image, "n1", "lab");
    return rmt_order_add_personal(order, "target", record, error);
}

// As the stacks, the feed and the first boot take it.
static int
s_personalise(const rmt_record_t *record, rmt_error_t *error)
{
    rmt_network_t network;
    if (rmt_network_parse(record, &network, error) == -1)
        return -1;
    return rmt_personal_check(record, NULL, error);
}

static const struct {
    const char *name;
    int (*take)(const rmt_record_t *record, rmt_error_t *error);
} s_doors[] = {{"set", s_set},
               {"plan", s_plan},
               {"order", s_order},
               {"prepare", s_prepare},
               {"personalise", s_personalise}};

#define DOOR_COUNT (sizeof s_doors / sizeof *s_doors)

// ---- The table at every door

static void
s_check_row(const row_t *row, const rmt_record_t *record, size_t door)
{
    rmt_error_t error = {0};
    const int rc = s_doors[door].take(record, &error);
    const bool is_set = door == 0;
    const bool is_good = row->verdict == GOOD || (row->verdict == WHOLE && is_set);
    if ((rc == 0) != is_good)
        fail_msg("%s: '%s' is %s: %s", s_doors[door].name, row->fields,
                 rc == 0 ? "taken" : "refused", error.text);
    if (rc == -1 && (error.code != RMT_E_USAGE || !strstr(error.text, row->words)))
        fail_msg("%s: '%s': the error lacks '%s': %s", s_doors[door].name, row->fields,
                 row->words, error.text);
}

// [3.3] [3.6] [3.7]: set, plan, order and agent agree on each row.
static void
test_m1_m12_m18_m33_a_record_has_one_verdict_at_every_door(void **state)
{
    (void) state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        rmt_auto(rmt_record) record = s_record(s_rows[i].fields);
        assert_int_equal(record == NULL, s_rows[i].verdict != GOOD && !s_rows[i].words);
        for (size_t door = 0; record && door < DOOR_COUNT; door++)
            s_check_row(&s_rows[i], record, door);
    }
}

// [3.1]: the user can correct it at once.
static void
test_m1_an_error_names_record_field_value_and_a_right_one(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) record = s_record("address=10.0.0.7");
    RMT_FAILS(s_set(record, &error), RMT_E_USAGE);
    assert_string_equal(
        error.text, "target n1: address=10.0.0.7: 10.0.0.7 lacks the length of its "
                    "network; write 10.0.0.7/24, or set mask=255.255.255.0 beside it");
}

// ---- What set does beside that

// [3.5]: addresses, lists and MACs are stored in one form.
static void
test_m1_one_address_has_one_text(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) changes =
        s_record("address=\"FD00:0:0::7/064, 10.0.0.7/24\" mac=52-54-00-AB-CD-EF "
                 "gateway=\"fd00:0::1 10.0.0.1\" net.data.mac=52:54:00:00:00:0A");
    RMT_OK(rmt_fields_check("target", changes, NULL, &error));
    assert_string_equal(rmt_record_text(changes, "address", ""),
                        "fd00::7/64,10.0.0.7/24");
    assert_string_equal(rmt_record_text(changes, "mac", ""), "52:54:00:ab:cd:ef");
    assert_string_equal(rmt_record_text(changes, "gateway", ""), "fd00::1,10.0.0.1");
    assert_string_equal(rmt_record_text(changes, "net.data.mac", ""),
                        "52:54:00:00:00:0a");
}

// [3.2]: the record has it as prefix or mask.
static void
test_m1_an_address_may_have_its_length_in_the_record(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) before = s_record("address=10.0.0.7 mask=255.255.255.0");
    rmt_auto(rmt_record) other = s_record("address=10.0.0.8");
    rmt_auto(rmt_record) without = s_record("mask=\"\"");
    RMT_OK(rmt_fields_check("target", other, before, &error));
    RMT_FAILS(rmt_fields_check("target", without, before, &error), RMT_E_USAGE);
    assert_non_null(strstr(error.text, "write 10.0.0.7/24"));
}

// [3.4]: labels have a prefix of their own.
static void
test_m1_a_field_that_does_not_exist_is_refused_with_the_nearest(void **state)
{
    static const struct {
        const char *class, *field, *words; // NULL: it is taken
    } rows[] = {
        {"target", "adress", "the nearest field is address"},
        {"target", "hostnam", "the nearest field is hostname"},
        {"target", "gatway", "label.gatway="},
        {"target", "net.data.dnss", "the nearest field is net.data.dns"},
        {"target", "policy", "no such field"},
        {"engine", "polcy", "the nearest field is policy"},
        {"engine", "gateway", "no such field"},
        {"source", "plase", "the nearest field is place"},
        {"target", "label.", "no such field"},
        {"target", "state", "only ramet sets this field"},
        {"target", "hardware", "only ramet sets this field"},
        {"target", "rack", NULL},
        {"source", "owner", NULL},
        {"engine", "label.pos", NULL},
        {"target", "label.pos.x", NULL},
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_record) changes = rmt_record_new();
        rmt_record_set(changes, "name", "n1");
        rmt_record_set(changes, rows[i].field, "12");
        const int rc = rmt_fields_check(rows[i].class, changes, NULL, &error);
        if ((rc == 0) != !rows[i].words ||
            (rc == -1 && !strstr(error.text, rows[i].words)))
            fail_msg("%s %s: %s", rows[i].class, rows[i].field, error.text);
        rmt_record_set(changes, rows[i].field, ""); // Removing is always right
        RMT_OK(rmt_fields_check(rows[i].class, changes, NULL, &error));
    }
}

static void
test_m1_names_and_other_fields_have_a_form(void **state)
{
    static const struct {
        const char *class, *field, *value;
        bool is_good;
    } rows[] = {
        {"target", "name", "r12-n01", true},
        {"target", "name", "N1", false},
        {"target", "name", "-n1", false},
        {"target", "name", "n 1", false},
        {"target", "engine", "lab", true},
        {"target", "engine", "Lab/1", false},
        {"target", "identity", "uuid:11111111-2222-3333-4444-555555555555", true},
        {"target", "identity", "serial:1", false},
        {"target", "identity", "uuid:", false},
        {"target", "rack", "r12\n", false},
        {"source", "address", "web.lan", true},
        {"source", "address", "10.0.0.7", true},
        {"source", "address", "10.0.0.700", false},
        {"engine", "address", "fd00::1", true},
        {"target", "power", "wol", true},
        {"target", "power", "redfish", true},
        {"target", "power", "Redfish", false},
        {"target", "power", "/bin/sh", false},
        {"engine", "power", "wol", false},
        {"target", "power-address", "10.0.9.7", true},
        {"target", "power-address", "10.0.9.7:6230", true},
        {"target", "power-address", "bmc7.lan:443", true},
        {"target", "power-address", "fd00::7", true},
        {"target", "power-address", "[fd00::7]:443", true},
        {"target", "power-address", "eth0.100", true},
        {"target", "power-address", "br_lan", true},
        {"target", "power-address", "10.0.9.7:0", false},
        {"target", "power-address", "10.0.9.7:70000", false},
        {"target", "power-address", "../10.0.9.7", false},
        {"target", "power-address", "https://10.0.9.7/", false},
        {"target", "power-address", "*:443", false},
        {"target", "power-address", "-x", false},
        {"target", "power-user", "ramet@site.1", true},
        {"target", "power-user", "-I", false},
        {"target", "power-user", "a:b", false},
        {"target", "power-system", "System.Embedded.1", true},
        {"target", "power-system", "../Managers/1", false},
        {"target", "power-boot", "bios", true},
        {"target", "power-boot", "legacy", false},
        {"engine", "policy", "cpu=family", true},
        {"engine", "policy", "cpu=foo", false},
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_record) changes = rmt_record_new();
        rmt_record_set(changes, "name", "n1");
        rmt_record_set(changes, rows[i].field, rows[i].value);
        const int rc = rmt_fields_check(rows[i].class, changes, NULL, &error);
        if ((rc == 0) != rows[i].is_good)
            fail_msg("%s=%s: %s", rows[i].field, rows[i].value, error.text);
    }
    rmt_error_t error = {0};
    rmt_auto(rmt_record) changes = rmt_record_new();
    rmt_record_put(changes, "rack", "r\0001", 3);
    RMT_FAILS(rmt_fields_check("target", changes, NULL, &error), RMT_E_USAGE);
}

static void
test_m1_what_a_machine_says_of_itself_has_the_same_grammar(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) body = rmt_record_new();
    RMT_OK(rmt_fields_check_enrolment(body, &error));
    rmt_record_set(body, "name", "n1");
    rmt_record_set(body, "identity", "board:XY 12");
    RMT_OK(rmt_fields_check_enrolment(body, &error));
    // A machine without a UUID is known by all its MACs.
    rmt_record_setf(body, "identity", "mac:%0900d", 1);
    RMT_OK(rmt_fields_check_enrolment(body, &error));
    rmt_record_set(body, "identity", "board:\n");
    RMT_FAILS(rmt_fields_check_enrolment(body, &error), RMT_E_USAGE);
    rmt_record_set(body, "identity", "");
    rmt_record_set(body, "place", "../lab");
    RMT_FAILS(rmt_fields_check_enrolment(body, &error), RMT_E_USAGE);
    assert_non_null(strstr(error.text, "place"));
}

// ---- What only the plan can know

static void
test_m12_m33_the_plan_holds_the_record_against_hardware_and_image(void **state)
{
    static const struct {
        const char *fields, *nics, *stack, *by_name;
        const char *words; // NULL: it fits
    } rows[] = {
        {A, NIC NIC_2, "networkd", "", "52:54:00:00:00:02"},
        {A "interface=eth1", NIC NIC_2, "networkd", "", NULL},
        {"", NIC NIC_2, "networkd", "", NULL},
        {A, NIC, "none", "", "no network stack"},
        {"", NIC, "none", "", NULL},
        {"", NIC, "wicked", "", "wicked"},
        {A, NIC, "ifupdown", "yes", NULL},
        {A "mac=52:54:00:00:00:01 " DATA, NIC NIC_2, "ifupdown", "", NULL},
        {A "mac=52:54:00:00:00:01 " DATA, NIC NIC_2, "ifupdown", "yes", "interface="},
        {A, NIC, "", "", NULL}, // An image of an older version
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_record) record = s_record(rows[i].fields);
        rmt_auto(rmt_record) item =
            s_judge(record, rows[i].nics, rows[i].stack, rows[i].by_name);
        const int rc = s_judged(item, &error);
        if ((rc == 0) != !rows[i].words ||
            (rc == -1 && !strstr(error.text, rows[i].words)))
            fail_msg("'%s' on %s: %s", rows[i].fields, rows[i].stack, error.text);
    }
}

// A name that is no host name is good for a record, and not for a system.
static void
test_m33_the_name_of_a_record_must_do_as_host_name(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) record = rmt_record_new();
    rmt_record_set(record, "name", "n_1");
    RMT_OK(s_set(record, &error));
    RMT_FAILS(s_plan(record, &error), RMT_E_USAGE);
    rmt_record_set(record, "hostname", "n-1");
    RMT_OK(s_plan(record, &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m1_m12_m18_m33_a_record_has_one_verdict_at_every_door),
        cmocka_unit_test(test_m1_an_error_names_record_field_value_and_a_right_one),
        cmocka_unit_test(test_m1_one_address_has_one_text),
        cmocka_unit_test(test_m1_an_address_may_have_its_length_in_the_record),
        cmocka_unit_test(test_m1_a_field_that_does_not_exist_is_refused_with_the_nearest),
        cmocka_unit_test(test_m1_names_and_other_fields_have_a_form),
        cmocka_unit_test(test_m1_what_a_machine_says_of_itself_has_the_same_grammar),
        cmocka_unit_test(
            test_m12_m33_the_plan_holds_the_record_against_hardware_and_image),
        cmocka_unit_test(test_m33_the_name_of_a_record_must_do_as_host_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
