// What a bare machine reads from the kernel's command line, and what it shows (M20).
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include "agent/agent.h"
#include "agent/install/cmdline.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "agent/install/screen.h"
#include "agent/install/told.h"
#include "agent/install/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DIGITS "26cd2a09e6e27c1e2ba3965dbd605c9b94314956956326dfd6a96a0b75c9cc0d"
#define TOKEN "R1." DIGITS ".b5cf35sk.k7quto2a7ajxfolkhlzrquqetx"
#define LINE "BOOT_IMAGE=vmlinuz quiet ramet.broker=hq:7700,10.0.0.2 ramet.token=" TOKEN

static char *
s_path(const char *name)
{
    return rmt_text("%s/%s", root_tree_path(), name);
}

// ---- Command line

static void
test_a_command_line_becomes_the_configuration_of_a_target(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str text = rmt_cmdline_config(
        LINE " ramet.key=" DIGITS " ramet.engine=paris ramet.root=01ab ramet.shell"
             " -- x\n",
        "/run/ramet", &error);
    RMT_OK(text);
    root_tree_put("agent.cfg", text);
    rmt_auto_str path = s_path("agent.cfg");
    assert_int_equal(chmod(path, 0600), 0); // It has the token in it
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    RMT_OK(config);
    const char *const *brokers = rmt_config_list(config, "brokers");
    assert_string_equal(brokers[0], "hq:7700");
    assert_string_equal(brokers[1], "10.0.0.2");
    assert_null(brokers[2]);
    assert_string_equal(rmt_config_text(config, "token"), TOKEN);
    assert_string_equal(rmt_config_text(config, "engine"), "paris");
    assert_string_equal(rmt_config_text(config, "trust-root"), "01ab");
    assert_string_equal(rmt_config_text(config, "role"), "target");
    assert_string_equal(rmt_config_text(config, "key"), "/run/ramet/agent.key");
    assert_true(rmt_config_bool(config, "reboot"));
    // Digits and Z85 mean the same key.
    rmt_token_t token;
    RMT_OK(rmt_token_parse(&token, TOKEN, &error));
    assert_string_equal(rmt_config_text(config, "broker-key"), token.broker_key);
}

static void
test_a_wrong_command_line_is_refused_by_its_word(void **state)
{
    (void) state;
    static const struct {
        const char *line, *word;
    } rows[] = {
        {"quiet", "ramet.broker is missing"},
        {"ramet.broker=hq", "ramet.token is missing"},
        {LINE " ramet.tokn=x", "ramet.tokn=x"},
        {LINE " ramet.brokers=x", "ramet.brokers=x"},
        {LINE " ramet.broker=x", "ramet.broker is on the kernel"},
        {LINE " ramet.engine=", "ramet.engine"},
        {LINE " ramet.engine", "ramet.engine"},
        {LINE " ramet.name=a\"b", "ramet.name"},
        {LINE " ramet.name=a\\b", "ramet.name"},
        {LINE
         " ramet.key=26cd2a09e6e27c1e2ba3965dbd605c9b94314956956326dfd6a96a0b75c9czzz",
         "ramet.key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str text = rmt_cmdline_config(rows[i].line, "/run/ramet", &error);
        RMT_FAILS(text, RMT_E_CONFIG);
        if (!strstr(error.text, rows[i].word))
            fail_msg("%s: %s", rows[i].line, error.text);
    }
}

// ---- Screen

static rmt_screen_t *
s_screen(const char *name)
{
    root_tree_put(name, "");
    rmt_auto_str path = s_path(name);
    const char *const devices[] = {"/no/such/console", path, NULL};
    return rmt_screen_new(devices);
}

static size_t
s_count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void
test_a_console_gets_one_line_for_each_change(void **state)
{
    (void) state;
    rmt_auto(rmt_screen) screen = s_screen("lines");
    rmt_screen_set(screen, RMT_SCREEN_NAME, "r12-n01");
    rmt_screen_set(screen, RMT_SCREEN_ADDRESSES, "10.0.2.15 on eth0");
    rmt_screen_set(screen, RMT_SCREEN_BROKER, "hq:7700");
    rmt_screen_set(screen, RMT_SCREEN_DOING, "waiting for orders");
    rmt_screen_show(screen);
    rmt_screen_show(screen);
    rmt_screen_set(screen, RMT_SCREEN_DOING, "waiting for orders");
    rmt_screen_show(screen);
    rmt_auto_str text = root_tree_get("lines");
    assert_int_equal(s_count_lines(text), 1);
    assert_int_equal(strncmp(text, "ramet, up ", 10), 0);
    assert_true(strtod(text + 10, NULL) > 0);
    assert_non_null(strstr(text, " s: waiting for orders as r12-n01, 10.0.2.15 on eth0, "
                                 "broker hq:7700\n"));
}

static void
test_progress_is_told_in_steps(void **state)
{
    (void) state;
    rmt_auto(rmt_screen) screen = s_screen("steps");
    rmt_screen_set(screen, RMT_SCREEN_DOING, "unpack");
    for (uint64_t done = 0; done <= 1000; done++) {
        rmt_screen_set_progress(screen, done, 1000);
        rmt_screen_show(screen);
    }
    rmt_auto_str text = root_tree_get("steps");
    assert_int_equal(s_count_lines(text), 11);
    assert_non_null(strstr(text, "s: unpack 40 %\n"));
    assert_non_null(strstr(text, "s: unpack 100 %\n"));
}

static void
test_trouble_stands_with_what_to_do_about_it(void **state)
{
    (void) state;
    rmt_auto(rmt_screen) screen = s_screen("trouble");
    rmt_error_t error = {0};
    for (int code = RMT_E_USAGE; code < RMT_CODE_COUNT; code++) {
        rmt_fail(&error, (rmt_code_t) code, "trouble %d\033[2J", code);
        rmt_screen_set_trouble(screen, &error);
        rmt_screen_show(screen);
        rmt_auto_str text = root_tree_get("trouble");
        rmt_auto_str line =
            rmt_text("ramet, trouble: trouble %d\\x1b[2J; what to do: ", code);
        const char *at = strstr(text, line);
        assert_non_null(at);
        assert_true(strlen(at) > strlen(line) + 10);
        // What comes from elsewhere does not steer the terminal.
        assert_null(strchr(text, '\033'));
    }
    // Once it is over it is told no more.
    rmt_auto_str before = root_tree_get("trouble");
    rmt_screen_set_trouble(screen, &(rmt_error_t){0});
    rmt_screen_set(screen, RMT_SCREEN_DOING, "waiting for orders");
    rmt_screen_show(screen);
    rmt_auto_str after = root_tree_get("trouble");
    assert_null(strstr(after + strlen(before), "trouble"));
}

static void
s_tell_result(rmt_told_t *told, rmt_code_t code, const char *text)
{
    rmt_auto(rmt_msg) msg = rmt_msg_new(RMT_MSG_RESULT);
    msg->code = code;
    rmt_msg_text(&msg->text, text);
    rmt_told_msg(told, msg);
}

// [1.47]: after each write the agent greets as a new life.
static void
test_the_end_of_an_order_stays_through_a_greeting(void **state)
{
    (void) state;
    rmt_auto(rmt_screen) screen = s_screen("greeting");
    const rmt_error_t none = {0};
    rmt_told_t told;
    rmt_told_begin(&told, screen);
    s_tell_result(&told, RMT_E_IO, "disk 'sda' cannot be read");
    assert_true(rmt_told_link(&told, true, &none));
    // What stands there is not told again.
    rmt_error_t failure = {0};
    rmt_fail(&failure, RMT_E_IO, "disk 'sda' cannot be read");
    rmt_auto_str before = root_tree_get("greeting");
    rmt_screen_set_trouble(screen, &failure);
    rmt_screen_show(screen);
    rmt_auto_str after = root_tree_get("greeting");
    assert_string_equal(before, after);
    assert_non_null(strstr(before, "disk 'sda' cannot be read"));

    s_tell_result(&told, RMT_E_OK, "");
    assert_true(rmt_told_link(&told, true, &none));
    rmt_auto_str text = root_tree_get("greeting");
    const char *last = strstr(text, "written, waiting for the restart");
    assert_non_null(last);
    assert_null(strstr(last, "waiting for orders"));
    rmt_told_end(&told);
}

static void
test_consoles_are_those_of_the_kernel(void **state)
{
    (void) state;
    root_tree_put("active", "tty0 ttyS0\n");
    rmt_auto_str path = s_path("active");
    char **names = rmt_screen_consoles(path);
    assert_string_equal(names[0], "/dev/tty1");
    assert_string_equal(names[1], "/dev/ttyS0");
    assert_null(names[2]);
    free(names);
    root_tree_put("active", "../x a b c d e f g h i j\n");
    names = rmt_screen_consoles(path);
    assert_string_equal(names[0], "/dev/a");
    assert_null(names[8]);
    free(names);
    names = rmt_screen_consoles("/no/such/file");
    assert_null(names[0]);
    free(names);
}

// ---- Network cards

static void
test_each_wired_card_tells_why_it_has_no_address(void **state)
{
    (void) state;
    rmt_auto_str sys = s_path("sys");
    rmt_auto_str none = rmt_uplink_trouble(sys);
    assert_string_equal(
        none,
        "no network: this machine has no wired card that the kernel has a driver for");
    root_tree_put("sys/class/net/lo/type", "772\n");
    root_tree_put("sys/class/net/eth0/type", "1\n");
    root_tree_put("sys/class/net/eth0/device/x", "");
    root_tree_put("sys/class/net/eth0/carrier", "1\n");
    root_tree_put("sys/class/net/eth1/type", "1\n");
    root_tree_put("sys/class/net/eth1/device/x", "");
    root_tree_put("sys/class/net/eth1/carrier", "0\n");
    root_tree_put("sys/class/net/br0/type", "1\n");
    root_tree_put("sys/class/net/wlan0/type", "1\n");
    root_tree_put("sys/class/net/wlan0/device/x", "");
    root_tree_put("sys/class/net/wlan0/phy80211/x", "");
    rmt_auto_str text = rmt_uplink_trouble(sys);
    assert_string_equal(text, "no network: eth0 got no answer to DHCP, eth1 has no link");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_line_becomes_the_configuration_of_a_target),
        cmocka_unit_test(test_a_wrong_command_line_is_refused_by_its_word),
        cmocka_unit_test(test_a_console_gets_one_line_for_each_change),
        cmocka_unit_test(test_progress_is_told_in_steps),
        cmocka_unit_test(test_trouble_stands_with_what_to_do_about_it),
        cmocka_unit_test(test_the_end_of_an_order_stays_through_a_greeting),
        cmocka_unit_test(test_consoles_are_those_of_the_kernel),
        cmocka_unit_test(test_each_wired_card_tells_why_it_has_no_address),
    };
    return cmocka_run_group_tests_name("bare", tests, root_tree_setup,
                                       root_tree_teardown);
}
