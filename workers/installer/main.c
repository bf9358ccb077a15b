// ramet-installer - worker over the store of an engine: matches, builds, orders, serves.
#include "installer/installer.h"
#include "place/place.h"
#include "place/upkeep.h"

static const rmt_options_t s_options = {
    .program = "ramet-installer",
    .usage =
        "Compare images with targets, build imaging areas, order installs, serve chunks.",
    .rows = RMT_HOLDER_ROWS,
    .file = "/etc/ramet/installer.cfg",
};

static const rmt_holder_service_t s_services[] = {
    {"match", 0, installer_match}, {"build", 0, installer_build},
    {"order", 0, installer_order}, {"netboot", 0, installer_netboot},
    {"power", 4, installer_power}, {"wake", 32, installer_wake},
    RMT_UPKEEP_SERVICES,
};

static const place_program_t s_program = {
    .role = "installer",
    .options = &s_options,
    .services = s_services,
    .service_count = sizeof s_services / sizeof *s_services,
};

int
main(int argc, char **argv)
{
    return place_main(&s_program, argc, argv);
}
