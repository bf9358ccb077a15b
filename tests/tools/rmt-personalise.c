// Personalise the tree at FOLDER as the record LINE says, as an installer would; for
// tests that hold the outcome against the real programs of a system.
//
//   rmt-personalise FOLDER 'class=target name=n1 address=10.0.0.7/24'
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "system/rmt_personal.h"

#include <fcntl.h>
#include <stdio.h>

static int
s_run(const char *folder, const char *line, rmt_error_t *error)
{
    rmt_auto_fd root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root == -1)
        return rmt_fail_errno(error, "open %s", folder);
    rmt_auto(rmt_records) records = rmt_facts_parse(line, error);
    rmt_auto(rmt_records) actions = NULL;
    rmt_auto(rmt_records) warnings = rmt_records_new();
    if (!records || rmt_personal_warn(root, warnings, error) == -1 ||
        rmt_personal_plan(root, rmt_records_at(records, 0), &actions, error) == -1 ||
        rmt_personal_apply(root, actions, error) == -1)
        return -1;
    for (size_t i = 0; i < rmt_records_count(actions); i++)
        printf("%s %s\n", rmt_record_text(rmt_records_at(actions, i), "class", ""),
               rmt_record_text(rmt_records_at(actions, i), "path", ""));
    for (size_t i = 0; i < rmt_records_count(warnings); i++) {
        rmt_auto_str text = rmt_personal_warning_text(rmt_records_at(warnings, i));
        printf("warning %s\n", text);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    if (argc != 3) {
        fputs("usage: rmt-personalise FOLDER LINE\n", stderr);
        return 64;
    }
    if (s_run(argv[1], argv[2], &error) == 0)
        return 0;
    fprintf(stderr, "rmt-personalise: %s\n", error.text);
    return 1;
}
