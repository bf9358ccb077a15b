foreach(name main_job kills take_over era disappear)
    add_test(NAME system.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_${name}.sh)
    set_tests_properties(system.${name} PROPERTIES LABELS system TIMEOUT 600 RUN_SERIAL ON
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
