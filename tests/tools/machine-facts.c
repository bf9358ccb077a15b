// machine-facts FILE: the inventory of a machine of tests/fixtures/machines, as facts.
#include <stdio.h>
#include "machine_tree.h"
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"

int
main(int argc, char **argv)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records =
        argc == 2 ? machine_tree_read(argv[1], NULL, &error) : NULL;
    if (!records) {
        fprintf(stderr, "machine-facts: %s\n", argc == 2 ? error.text : "usage: FILE");
        return 1;
    }
    rmt_auto_str text = rmt_facts_print(records);
    fputs(text, stdout);
    return 0;
}
