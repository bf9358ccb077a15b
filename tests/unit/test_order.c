// The door of orders: what a target may be told.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_order.h"

#include <string.h>

#define IMAGE "010000000000000000000000000000000000000000000000000000000000000000"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define HEAD "class=order part=order image=" IMAGE " target=n1 place=paris\n"
#define CHOICE "class=choice part=choice role=system disk=S1 name=sda bytes=1048576\n"
#define LAYOUT                                                                           \
    "class=disk part=layout role=system table=gpt logical-sector=512\n"                  \
    "class=partition part=layout disk=system number=1 start=34 size=100 type=" LINUX     \
    "\n"
#define PERSONAL "class=target part=personal name=n1\nclass=script part=personal name=a\n"

static rmt_order_t *
s_read(const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_facts_parse(text, error);
    assert_non_null(records);
    return rmt_order_read(records, error);
}

static void
test_an_order_is_written_as_it_was_read(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order = s_read(HEAD CHOICE LAYOUT PERSONAL, &error);
    if (!order)
        fail_msg("%s", error.text);
    assert_string_equal(order->target, "n1");
    assert_string_equal(order->place, "paris");
    assert_int_equal(order->choice_count, 1);
    assert_string_equal(order->choices[0].disk, "S1");
    assert_int_equal(order->choices[0].bytes, 1048576);
    assert_int_equal(order->layout->partition_count, 1);
    assert_int_equal(rmt_records_count(order->personal), 2);
    rmt_auto(rmt_records) written = rmt_order_write(order, &error);
    RMT_OK(written);
    rmt_auto(rmt_order) again = rmt_order_read(written, &error);
    RMT_OK(again);
    rmt_auto(rmt_records) twice = rmt_order_write(again, &error);
    assert_int_equal(rmt_records_count(written), rmt_records_count(twice));
    for (size_t i = 0; i < rmt_records_count(written); i++)
        assert_true(
            rmt_record_equal(rmt_records_at(written, i), rmt_records_at(twice, i)));
}

// [4.4] An engine of a later version may say more; the parts that are known are not half
// read.
static void
test_other_parts_are_skipped_and_other_classes_are_not(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order =
        s_read(HEAD CHOICE LAYOUT "class=news part=later text=x\n", &error);
    RMT_OK(order);
}

#define VOLUME "class=volume part=layout disk=system partition=1 fs=ext4 mount=/\n"

// [3.9] More volumes than an order has space for are those of the image's descriptor, of
// which the disks must be the same; a whole order must be the same in all.
static void
test_a_short_order_gets_its_volumes_from_the_image(void **state)
{
    (void) state;
    static const struct {
        bool is_short;
        const char *image; // Its layout
        bool fits;
    } rows[] = {{true, LAYOUT VOLUME, true},
                {true, LAYOUT, true},
                {true, "class=disk part=layout role=system table=gpt\n", false},
                {false, LAYOUT VOLUME, true},
                {false, LAYOUT, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_order) made = s_read(HEAD CHOICE LAYOUT VOLUME, &error);
        RMT_OK(made);
        made->is_short = rows[i].is_short;
        rmt_auto(rmt_records) written = rmt_order_write(made, &error);
        rmt_auto(rmt_order) order = rmt_order_read(written, &error);
        RMT_OK(order);
        assert_int_equal(order->layout->volume_count, rows[i].is_short ? 0 : 1);
        rmt_auto(rmt_records) records = rmt_facts_parse(rows[i].image, &error);
        rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
        const size_t count = layout->volume_count;
        if (!rows[i].fits) {
            RMT_FAILS(rmt_order_complete(order, &layout, &error), RMT_E_NOT_ALLOWED);
            continue;
        }
        RMT_OK(rmt_order_complete(order, &layout, &error));
        assert_int_equal(order->layout->volume_count, count);
    }
}

// What is wrong with it, and words of the refusal.
static const struct {
    const char *text, *words;
} s_bad[] = {
    {CHOICE LAYOUT, "no record of class order"},
    {HEAD HEAD CHOICE LAYOUT, "two records"},
    {"class=order part=order image=12 target=n1\n" CHOICE LAYOUT, "image '12'"},
    // An order without a name would be carried out by any machine.
    {"class=order part=order image=" IMAGE "\n" CHOICE LAYOUT, "names no target"},
    {"class=order part=order image=" IMAGE " target=\"\"\n" CHOICE LAYOUT,
     "names no target"},
    {HEAD CHOICE, "no disk"},
    {HEAD LAYOUT, "role 'system'"},
    {HEAD CHOICE CHOICE LAYOUT, "role 'system'"},
    {HEAD CHOICE LAYOUT "class=choice part=choice role=data disk=S2 bytes=9\n",
     "role 'data'"},
    {HEAD "class=candidate part=choice role=system disk=S1 bytes=9\n" LAYOUT,
     "class 'candidate'"},
    {HEAD "class=choice part=choice role=system bytes=9\n" LAYOUT, "disk ''"},
    {HEAD "class=choice part=choice role=system disk=S1 bytes=many\n" LAYOUT,
     "bytes 'many'"},
    {HEAD CHOICE LAYOUT "class=raid part=layout role=system\n", "class 'raid'"},
    {HEAD CHOICE LAYOUT "class=firewall part=personal\n", "class 'firewall'"},
    // M33: what the first boot could not carry out ends here, before ARM.
    {HEAD CHOICE LAYOUT "class=target part=personal name=n1 address=10.0.0.7\n",
     "write 10.0.0.7/24"},
    {HEAD CHOICE "class=disk part=layout role=system table=bsd\n", "table 'bsd'"},
};

static void
test_T18_what_is_no_whole_order_is_refused_with_field_and_value(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_bad / sizeof *s_bad; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_order) order = s_read(s_bad[i].text, &error);
        if (order)
            fail_msg("%s: is taken", s_bad[i].text);
        if (error.code != RMT_E_USAGE || !strstr(error.text, s_bad[i].words))
            fail_msg("%s: %s", s_bad[i].text, error.text);
    }
}

// [4.5] The engine finds out before the target does.
static void
test_what_would_not_be_read_is_not_written(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_order) order = s_read(HEAD CHOICE LAYOUT, &error);
    RMT_OK(order);
    order->target[0] = '\0';
    RMT_FAILS(rmt_order_write(order, &error), RMT_E_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_order_is_written_as_it_was_read),
        cmocka_unit_test(test_other_parts_are_skipped_and_other_classes_are_not),
        cmocka_unit_test(test_a_short_order_gets_its_volumes_from_the_image),
        cmocka_unit_test(test_T18_what_is_no_whole_order_is_refused_with_field_and_value),
        cmocka_unit_test(test_what_would_not_be_read_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
