// Runs a fuzz driver over the files of a corpus, whole and cut at every byte, where
// libFuzzer is not at hand. Exit 1 when the corpus is missing or empty.
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
s_replay(const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_ptr data = NULL;
    size_t size;
    if (rmt_io_load(path, FILE_SIZE_MAX, &data, &size, &error) == -1) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    for (size_t cut = 0; cut <= size; cut++) {
        rmt_auto_ptr exact = malloc(cut ? cut : 1); // So that a sanitizer sees an overrun
        if (!exact)
            abort();
        memcpy(exact, data, cut);
        LLVMFuzzerTestOneInput(exact, cut);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 1;
    }
    size_t count = 0;
    int rc = 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] == '.')
            continue;
        rmt_auto_str path = rmt_text("%s/%s", argv[1], entry->d_name);
        rc |= s_replay(path);
        count++;
    }
    closedir(folder);
    printf("%zu files\n", count);
    return rc || count == 0;
}
