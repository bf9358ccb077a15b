// test_folder - a folder of a test program's own, gone with the program. For one source
// file of a program: test_folder_make and test_folder_remove are the setup and teardown
// of its group.
#pragma once

#include "tools/rmt_test.h"

#include <stdlib.h>
#include <string.h>
#include "base/rmt_io.h"

#define TEST_FOLDER "/var/tmp/ramet-test.XXXXXX"

static char test_folder[] = TEST_FOLDER;

static int
test_folder_make(void **state)
{
    (void) state;
    memcpy(test_folder, TEST_FOLDER, sizeof test_folder);
    return mkdtemp(test_folder) ? 0 : -1;
}

static int
test_folder_remove(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    return rmt_io_remove_tree(test_folder, &error);
}
