# Each system/test_NAME.sh is a test.
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/system/test_*.sh)
foreach(script IN LISTS scripts)
    string(REGEX REPLACE ".*/test_(.*)[.]sh" "\\1" name ${script})
    add_test(NAME system.${name} COMMAND ${ramet_own_mounts} ${script})
    set_tests_properties(system.${name} PROPERTIES LABELS system TIMEOUT 600 RUN_SERIAL ON
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
add_executable(ramet-manifest-size tools/rmt-manifest-size.c)
target_link_libraries(ramet-manifest-size PRIVATE ramet_flags ramet::exchange)
set_target_properties(ramet-manifest-size PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
