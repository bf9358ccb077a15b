#include "tools/disk_file.h"
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "facts/rmt_facts.h"

char *
disk_file_make(const char *folder, const char *name, uint64_t bytes)
{
    char *path = rmt_text("%s/%s", folder, name);
    (void) unlink(path);
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    assert_int_equal(ftruncate(fd, (off_t) bytes), 0);
    return path;
}

rmt_records_t *
disk_file_facts(const char *text)
{
    rmt_error_t error = {0};
    rmt_records_t *records = rmt_facts_parse(text, &error);
    RMT_OK(records);
    return records;
}

char *
disk_file_output(const char *const *arguments)
{
    rmt_error_t error = {0};
    char *output = NULL;
    RMT_OK(rmt_process_run(arguments, NULL, &output, &error));
    return output;
}
