foreach(name main_job kills take_over era disappear second_image plan)
    add_test(NAME system.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_${name}.sh)
    set_tests_properties(system.${name} PROPERTIES LABELS system TIMEOUT 600 RUN_SERIAL ON
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
add_executable(ramet-manifest-size tools/rmt-manifest-size.c)
target_link_libraries(ramet-manifest-size PRIVATE ramet_flags ramet::exchange)
set_target_properties(ramet-manifest-size PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
