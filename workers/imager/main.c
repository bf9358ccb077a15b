// ramet-imager - worker over the store of a sending place: receives captures, commits
// images, serves them to engines. With --check-store it checks a store and leaves.
#include "imager/check.h"
#include "imager/imager.h"
#include "place/place.h"
#include "place/upkeep.h"

#include <string.h>

static const rmt_options_t s_options = {
    .program = "ramet-imager",
    .usage = "Receive captures, commit images, and serve them.\nramet-imager "
             "--check-store FOLDER   check every chunk of a store, then end",
    .rows = RMT_HOLDER_ROWS,
    .file = "/etc/ramet/imager.cfg",
};

static const rmt_holder_service_t s_services[] = {
    {"commit", 0, imager_commit},
    {"package", 0, imager_package},
    {"receive", 1, imager_receive},
    RMT_UPKEEP_SERVICES,
};

static const place_program_t s_program = {
    .role = "imager",
    .options = &s_options,
    .services = s_services,
    .service_count = sizeof s_services / sizeof *s_services,
};

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--check-store") == 0)
        return imager_check_store(argv[2]);
    return place_main(&s_program, argc, argv);
}
