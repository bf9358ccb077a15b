// Profiles: what an image leaves out, and what is a private key.
#include "tools/rmt_test.h"

#include "agent/source/profile.h"
#include "agent/source/profiles.h"
#include "base/rmt_auto.h"

#include <string.h>

static rmt_records_t *
s_own(const char *name)
{
    rmt_error_t error = {0};
    for (const rmt_profile_text_t *own = rmt_profile_texts; own->name; own++)
        if (strcmp(own->name, name) == 0) {
            rmt_records_t *rules = rmt_profile_parse(own->text, name, &error);
            RMT_OK(rules);
            return rules;
        }
    fail_msg("no profile %s", name);
    return NULL;
}

// M19: swap, caches and dumps stay; what a system needs goes along.
static void
test_default_profile_leaves_out_what_belongs_to_one_machine(void **state)
{
    (void) state;
    rmt_auto(rmt_records) rules = s_own("default");
    static const struct {
        const char *path, *what;
    } rows[] = {
        {"swapfile", "swap"},
        {"swap.img", "swap"},
        {"tmp/x", "temporary"},
        {"var/cache/apt/archives/a_1_amd64.deb", "cache"},
        {"var/lib/systemd/coredump/core.x", "crash-dump"},
        {"tmp", NULL},
        {"home/u/swapfile", NULL},
        {"home/u/tmp/x", NULL},
        {"var/cache/apt/archives", NULL},
        {"var/cache/debconf/config.dat", NULL},
        {"var/log/syslog", NULL},
        {"etc/passwd", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *what = rmt_profile_find(rules, "leave", rows[i].path);
        if (rows[i].what)
            assert_string_equal(what, rows[i].what);
        else if (what)
            fail_msg("%s is left out as %s", rows[i].path, what);
    }
    assert_string_equal(rmt_profile_find(rules, "key", "etc/wireguard/wg0.conf"), "vpn");
    assert_string_equal(rmt_profile_find(rules, "key", "srv/a/b.p12"), "tls");
    assert_null(rmt_profile_find(rules, "key", "etc/ssl/certs/ca.pem"));
    assert_null(rmt_profile_find(rules, "leave", "home/u/.ssh/id_ed25519"));
}

static void
test_clean_profile_leaves_out_logs_and_histories(void **state)
{
    (void) state;
    rmt_auto(rmt_records) rules = s_own("clean");
    assert_string_equal(rmt_profile_find(rules, "leave", "var/log/syslog"), "log");
    assert_string_equal(rmt_profile_find(rules, "leave", "home/u/.bash_history"),
                        "history");
    assert_null(rmt_profile_find(rules, "leave", "var/log/nginx"));
}

// Bad input: a profile that is none says so and leaves nothing out.
static void
test_bad_profiles_are_refused_with_the_reason(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {"", RMT_E_CONFIG, "no line class=profile version=1"},
        {"class=leave path=/a what=b\n", RMT_E_CONFIG, "no line class=profile"},
        {"class=profile version=2\n", RMT_E_UNSUPPORTED, "version \"2\""},
        {"class=profile version=1\nclass=drop path=/a\n", RMT_E_CONFIG, "class=drop"},
        {"class=profile version=1\nclass=leave what=b\n", RMT_E_CONFIG,
         "no path, or every path"},
        {"class=profile version=1\nclass=leave path=/\n", RMT_E_CONFIG,
         "no path, or every path"},
        {"class=profile version=1\nclass=leave path=*\n", RMT_E_CONFIG,
         "no path, or every path"},
        {"class=profile version=1\nnonsense\n", RMT_E_CONFIG, "site"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_profile_parse(rows[i].text, "site", &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("row %zu: %s", i, error.text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_profile_leaves_out_what_belongs_to_one_machine),
        cmocka_unit_test(test_clean_profile_leaves_out_logs_and_histories),
        cmocka_unit_test(test_bad_profiles_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
