#include "fuzz/canary.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/listing.h"
#include "fuzz/must.h"

#define SECRET "this is outside of the tree"
#define EXCEPT "root"

static char *s_before; // The listing of the canary that was planted last

// One of each kind that a writer could be led to, from the tree or through a link.
void
canary_plant(int folder_fd)
{
    rmt_error_t error;
    MUST(mkdirat(folder_fd, "canary", 0755) == 0);
    MUST(mkdirat(folder_fd, "canary/folder", 0700) == 0);
    MUST(symlinkat("file", folder_fd, "canary/link") == 0);
    MUST(mkfifoat(folder_fd, "canary/fifo", 0600) == 0);
    rmt_auto_fd fd =
        openat(folder_fd, "canary/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    MUST(fd != -1 && rmt_io_write(fd, SECRET, strlen(SECRET), &error) == 0);
    MUST(linkat(folder_fd, "canary/file", folder_fd, "canary/folder/name", 0) == 0);
    free(s_before);
    s_before = listing_of(folder_fd, LISTING_TIMES, EXCEPT);
}

void
canary_look(int folder_fd)
{
    rmt_auto_str after = listing_of(folder_fd, LISTING_TIMES, EXCEPT);
    if (strcmp(s_before, after) == 0)
        return;
    fprintf(stderr, "outside of the tree there was\n%sand there is\n%s", s_before, after);
    abort();
}
