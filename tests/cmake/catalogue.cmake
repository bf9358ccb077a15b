ramet_test(unit descriptor NEEDS ramet::imager ramet::agent ramet::wire ramet::base)
ramet_test(unit select NEEDS ramet::console ramet::base)
ramet_test(unit archive_writer NEEDS ramet::archive ramet::base TIMEOUT 20)
set_property(TEST unit.archive_writer APPEND PROPERTY ENVIRONMENT
    "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tools/lsan.supp")
ramet_test(integration archive SOURCES tools/tree_lab.c tools/archive_lab.c NEEDS ramet::archive ramet::tree ramet::base TIMEOUT 120)
ramet_test(unit import NEEDS ramet::console ramet::base TIMEOUT 10)
