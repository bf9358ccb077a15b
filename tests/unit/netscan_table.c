#include "unit/netscan_table.h"
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "base/rmt_io.h"
#include "system/rmt_network_plan.h"

#include <string.h>

void
netscan_make_stack(void)
{
    root_tree_put("etc/os-release", "ID=debian\n");
    root_tree_put("usr/sbin/NetworkManager", "");
    root_tree_link("etc/systemd/system/multi-user.target.wants/NetworkManager.service",
                   "/usr/lib/systemd/system/NetworkManager.service");
}

int
netscan_plan(const char *target, rmt_records_t *actions, rmt_error_t *error_out)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(target, &error);
    rmt_network_t network;
    RMT_OK(records);
    RMT_OK(rmt_network_parse(rmt_records_at(records, 0), &network, &error));
    return rmt_network_plan(root_tree_fd(), &network, actions, error_out);
}

const char *
netscan_class(const rmt_records_t *actions, const char *path)
{
    const rmt_record_t *action = rmt_records_find(actions, "path", path);
    return action ? rmt_record_text(action, "class", "") : "";
}

static void
s_judge_planned(const netscan_row_t *row, const char *path, const rmt_records_t *actions)
{
    const char *class = netscan_class(actions, path);
    const rmt_record_t *action = rmt_records_find(actions, "path", path);
    switch (row->fate) {
    case GONE:
        if (strcmp(class, "remove") != 0)
            fail_msg("%s is not taken away: %s", path, row->text);
        break;
    case KEPT:
        if (class[0] || (row->want && netscan_class(actions, row->want)[0]))
            fail_msg("%s: %s, and should stay: %s", path, class, row->text);
        break;
    case HIDDEN:
        if (strcmp(netscan_class(actions, row->want), "link") != 0)
            fail_msg("%s is not hidden by %s: %s", path, row->want, row->text);
        break;
    default:
        if (strcmp(class, "write") != 0 ||
            strcmp(rmt_record_text(action, "content", ""), row->want) != 0)
            fail_msg("%s: %s '%s', and should be '%s'", path, class,
                     action ? rmt_record_text(action, "content", "") : "", row->want);
    }
}

static void
s_try(const netscan_row_t *row)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/%s", row->path);
    rmt_auto(rmt_records) actions = rmt_records_new();
    netscan_make_stack();
    root_tree_put(row->path, row->text);
    const int rc = netscan_plan(TARGET, actions, &error);
    if (row->fate != REFUSED) {
        if (rc == -1)
            fail_msg("%s: '%s' is refused: %s", path, row->text, error.text);
        s_judge_planned(row, path, actions);
        return;
    }
    rmt_auto_str start = rmt_text("%s:%s", path, row->want);
    if (rc == 0)
        fail_msg("%s is not refused: %s", path, row->text);
    if (strncmp(error.text, start, strlen(start)) != 0)
        fail_msg("refused with '%s', and should begin '%s'", error.text, start);
    assert_int_equal(error.code, RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "--exclude "));
}

void
netscan_try(void **state, const netscan_row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            assert_int_equal(root_tree_setup(state), 0);
        s_try(&rows[i]);
        if (i + 1 < count)
            assert_int_equal(root_tree_teardown(state), 0);
    }
}
