// What starts the services of a system, and so the first boot of its copy (M6, M23,
// [3.42]).
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_init.h"
#include "system/rmt_personal.h"

#define OPENRC "/sbin/openrc"
#define FILES_MAX 4

typedef struct {
    const char *system;
    struct {
        const char *path, *text; // A text that begins with ">" is where a symlink leads
    } files[FILES_MAX];
    const char *init;
    const char *starter; // NULL: refused
    const char *words;   // In the starter, or in the refusal
} row_t;

static const row_t s_rows[] = {
    {"systemd behind a merged /usr",
     {{"lib", ">usr/lib"},
      {"sbin/init", ">/lib/systemd/systemd"},
      {"usr/lib/systemd/systemd", ""}},
     "systemd",
     "etc/systemd/system/multi-user.target.wants/ramet-firstboot.service",
     "ExecStart=/a b\n"},
    {"sysvinit beside the files of systemd",
     {{"sbin/init", ""},
      {"lib/systemd/systemd", ""},
      {"etc/inittab", "id:3:initdefault:\nl3:3:wait:/etc/init.d/rc 3\n"}},
     "sysv",
     "etc/inittab",
     "rmt1:2345:once:/etc/init.d/ramet-firstboot start\n"},
    {"OpenRC below busybox, without its levels",
     {{"sbin/init", ">/bin/busybox"},
      {"bin/busybox", ""},
      {"etc/inittab",
       "# ours\n::sysinit:" OPENRC " sysinit\n::wait:" OPENRC " default\n"},
      {"sbin/openrc-run", ""}},
     "busybox",
     "etc/inittab",
     "::once:/etc/init.d/ramet-firstboot start\n"},
    {"openrc-init",
     {{"sbin/init", ">openrc-init"},
      {"sbin/openrc-init", ""},
      {"usr/sbin/openrc-run", ""},
      {"etc/runlevels/default/sshd", ">/etc/init.d/sshd"}},
     "openrc",
     "etc/init.d/ramet-firstboot",
     "#!/usr/sbin/openrc-run\n"},
    {"openrc-init without its levels",
     {{"sbin/init", ">openrc-init"}, {"sbin/openrc-init", ""}, {"sbin/openrc-run", ""}},
     "openrc",
     NULL,
     "/etc/runlevels/default"},
    {"OpenRC below sysvinit",
     {{"sbin/init", ""},
      {"etc/inittab", "id:3:initdefault:\nl3:3:wait:" OPENRC " default\n"},
      {"sbin/openrc-run", ""},
      {"etc/runlevels/default/local", ">/etc/init.d/local"}},
     "openrc",
     "etc/init.d/ramet-firstboot",
     "\ncommand='/a b'\n"},
    // Where its log cannot be written, the agent is started even so.
    {"OpenRC, and a log that cannot be written",
     {{"sbin/init", ">openrc-init"},
      {"sbin/openrc-init", ""},
      {"sbin/openrc-run", ""},
      {"etc/runlevels/default/local", ">/etc/init.d/local"}},
     "openrc",
     "etc/init.d/ramet-firstboot",
     "|| log=/dev/null\n"},
    {"runit, and a log that cannot be written",
     {{"sbin/init", ">/usr/bin/runit-init"}, {"etc/sv/a", ""}, {"etc/service/a", ""}},
     "runit",
     "etc/sv/ramet-firstboot/run",
     "|| log=/dev/null\nexec $command </dev/null >>\"$log\" 2>&1\n"},
    {"runit with its folder of services elsewhere",
     {{"usr/bin/init", ">/usr/lib/runit/runit-init"},
      {"sbin", ">usr/bin"},
      {"etc/runit/sv/sshd/run", ""},
      {"etc/runit/runsvdir/default/sshd", ">/etc/runit/sv/sshd"}},
     "runit",
     "etc/runit/sv/ramet-firstboot/run",
     "exec $command"},
    {"busybox without a table",
     {{"sbin/init", ">../bin/busybox.static"},
      {"bin/busybox.static", ""},
      {"etc/init.d/rcS", "#!/bin/sh\nexec /bin/sh\n"}},
     "busybox",
     "etc/init.d/rcS",
     "/etc/init.d/ramet-firstboot start\nexec /bin/sh\n"},
    {"a link to a program that is elsewhere",
     {{"sbin/init", ">/usr/lib/shepherd"}, {"etc/inittab", "id:3:initdefault:\n"}},
     "shepherd",
     NULL,
     "with shepherd, which ramet does not know"},
    {"finit, which is called init",
     {{"sbin/init", ""}, {"etc/finit.d/sshd.conf", ""}},
     "finit",
     NULL,
     "with finit, which ramet does not know"},
    {"none at all", {{"etc/hostname", "a\n"}}, "none", NULL, "neither systemd"},
};

static void
s_make(const row_t *row)
{
    for (size_t i = 0; i < FILES_MAX && row->files[i].path; i++) {
        if (row->files[i].text[0] == '>')
            root_tree_link(row->files[i].path, row->files[i].text + 1);
        else
            root_tree_put(row->files[i].path, row->files[i].text);
    }
}

static void
test_each_init_starts_the_first_boot_in_its_way(void **state)
{
    rmt_auto(rmt_records) none = rmt_records_new();
    for (size_t i = 0; i < sizeof s_rows / sizeof *s_rows; i++) {
        const row_t *row = &s_rows[i];
        rmt_error_t error = {0};
        rmt_init_t init;
        rmt_auto(rmt_records) actions = rmt_records_new();
        assert_int_equal(root_tree_teardown(state), 0);
        assert_int_equal(root_tree_setup(state), 0);
        s_make(row);
        RMT_OK(rmt_init_look(root_tree_fd(), &init, &error));
        if (strcmp(init.name, row->init) != 0)
            fail_msg("%s: %s", row->system, init.name);
        const int rc =
            rmt_personal_first_boot(root_tree_fd(), "/a b", none, actions, &error);
        if ((rc == 0) != (row->starter != NULL) ||
            (rc == -1 &&
             (error.code != RMT_E_UNSUPPORTED || !strstr(error.text, row->words))))
            fail_msg("%s: %d %s", row->system, rc, error.text);
        if (rc == -1)
            continue;
        RMT_OK(rmt_personal_apply(root_tree_fd(), actions, &error));
        rmt_auto_str text = root_tree_get(row->starter);
        if (!strstr(text, row->words))
            fail_msg("%s: %s", row->system, text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_init_starts_the_first_boot_in_its_way,
                                        root_tree_setup, root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
