// Descriptors: what a source writes, and what an imager takes for an image.
#include "tools/rmt_test.h"

#include <string.h>
#include "agent/source/descriptor.h"
#include "base/rmt_auto.h"
#include "imager/imager.h"
#include "store/rmt_chunk.h"
#include "wire/rmt_codec.h"

// A descriptor with something in every part that a capture fills.
static rmt_records_t *
s_write(void)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_descriptor) descriptor = rmt_descriptor_new("web");
    static const char *const rows[][2] = {
        {"hardware", "cpu"},  {"layout", "disk"}, {"layout", "volume"},
        {"exclude", "leave"}, {"os", "os"},       {"boot", "boot"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) records = rmt_records_new();
        rmt_record_set(rmt_records_add(records), "class", rows[i][1]);
        rmt_descriptor_add(descriptor, rows[i][0], records);
    }
    rmt_auto(rmt_records) dropped = rmt_records_new();
    rmt_record_t *left = rmt_records_add(dropped);
    rmt_record_set(left, "path", "/dev/sda3");
    rmt_record_set(left, "reason", "nothing explains it");
    rmt_descriptor_add_list(descriptor, "dropped", dropped);
    const rmt_capture_report_t totals = {0};
    rmt_auto(zchunk) packed = rmt_descriptor_pack(descriptor, "uefi", &totals, &error);
    assert_non_null(packed);
    rmt_records_t *back = rmt_codec_unpack_records(
        zchunk_data(packed), zchunk_size(packed), RMT_CHUNK_PLAIN_MAX, &error);
    assert_non_null(back);
    return back;
}

// [5.1]: the image's own record is the first.
static void
test_every_record_of_a_descriptor_has_a_class_and_a_part(void **state)
{
    (void) state;
    rmt_auto(rmt_records) descriptor = s_write();
    assert_int_equal(rmt_records_count(descriptor), 8);
    for (size_t i = 0; i < rmt_records_count(descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(descriptor, i);
        assert_string_not_equal(rmt_record_text(record, "class", ""), "");
        assert_string_not_equal(rmt_record_text(record, "part", ""), "");
    }
    assert_string_equal(rmt_record_text(rmt_records_at(descriptor, 0), "class", ""),
                        "image");
}

// [5.2] [5.5]: before anything is saved.
static void
test_an_imager_takes_no_format_and_no_feature_that_it_does_not_know(void **state)
{
    (void) state;
    static const struct {
        const char *class, *format, *features;
        rmt_code_t code;
    } rows[] = {
        {"image", "1", NULL, RMT_E_OK},
        {"image", "1", "", RMT_E_OK},
        {"image", "2", NULL, RMT_E_UNSUPPORTED},
        {"image", "", NULL, RMT_E_UNSUPPORTED},
        {"image", "1", "sealed", RMT_E_UNSUPPORTED},
        {"disk", "1", NULL, RMT_E_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) descriptor = rmt_records_new();
        rmt_record_t *record = rmt_records_add(descriptor);
        rmt_record_set(record, "class", rows[i].class);
        rmt_record_set(record, "format", rows[i].format);
        if (rows[i].features)
            rmt_record_set(record, "features", rows[i].features);
        const rmt_record_t *image = imager_find_image(descriptor, &error);
        assert_int_equal(error.code, rows[i].code);
        assert_ptr_equal(image, rows[i].code == RMT_E_OK ? record : NULL);
    }
    rmt_error_t error = {0};
    rmt_auto(rmt_records) ours = s_write();
    assert_non_null(imager_find_image(ours, &error));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_record_of_a_descriptor_has_a_class_and_a_part),
        cmocka_unit_test(
            test_an_imager_takes_no_format_and_no_feature_that_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
