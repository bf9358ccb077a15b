ramet_test(unit descriptor NEEDS ramet::imager ramet::agent ramet::wire ramet::base)
ramet_test(unit select NEEDS ramet::console ramet::base)
ramet_test(integration archive SOURCES tools/tree_lab.c tools/archive_lab.c NEEDS ramet::archive ramet::tree ramet::base TIMEOUT 120)
ramet_test(unit import NEEDS ramet::console ramet::base TIMEOUT 10)
