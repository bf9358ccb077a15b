ramet_test(unit mounted NEEDS ramet::machine TIMEOUT 10)
ramet_test(integration layout NEEDS ramet::agent ramet::machine TIMEOUT 120)
ramet_test(unit boot_code NEEDS ramet::machine TIMEOUT 10)
ramet_test(unit esp NEEDS ramet::machine TIMEOUT 10)
ramet_test(unit nvram NEEDS ramet::machine TIMEOUT 10)

add_executable(ramet-nvram tools/rmt-nvram.c)
target_link_libraries(ramet-nvram PRIVATE ramet_flags ramet::machine)
ramet_test(integration clear NEEDS ramet::machine TIMEOUT 240)
