ramet_test(unit stacks NEEDS ramet::system ramet::machine TIMEOUT 20)
ramet_test(unit firstboot NEEDS ramet::agent TIMEOUT 20)
ramet_program(rmt-personalise SOURCES tools/rmt-personalise.c NEEDS ramet::system ramet::machine)
add_test(NAME system.stacks COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_stacks.sh)
set_tests_properties(system.stacks PROPERTIES LABELS system TIMEOUT 300
    ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
