// ramet-nvram LABEL PATH GUID PARTITION START SECTORS [OPTIONS] - make a boot entry in
// the firmware of this machine, as the writer of disks does. OPTIONS is ASCII, which the
// loader is given in UTF-16. For machines of tests.
#include "disk/rmt_nvram.h"

#include <stdio.h>
#include <stdlib.h>

int
main(int argc, char **argv)
{
    if (argc != 7 && argc != 8)
        return 64;
    char options[RMT_NVRAM_OPTIONS_MAX] = "";
    size_t size = 0;
    for (const char *p = argc == 8 ? argv[7] : ""; *p && size + 2 < sizeof options; p++) {
        options[size++] = *p;
        options[size++] = '\0';
    }
    const rmt_nvram_entry_t entry = {.label = argv[1],
                                     .path = argv[2],
                                     .guid = argv[3],
                                     .partition = (uint32_t) strtoul(argv[4], NULL, 10),
                                     .start = strtoull(argv[5], NULL, 10),
                                     .sectors = strtoull(argv[6], NULL, 10),
                                     .options = options,
                                     .options_size = size};
    rmt_error_t error = {0};
    uint16_t number = 0;
    if (rmt_nvram_set(RMT_NVRAM_FOLDER, &entry, 1, &number, &error) == -1) {
        printf("ramet-nvram: %s\n", error.text);
        return 1;
    }
    printf("ramet-nvram: Boot%04X\n", number);
    return 0;
}
