foreach(rule doors sizes headers words scripts events failpoints states)
    add_test(NAME lint.${rule} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lint/check_${rule}.sh)
    set_tests_properties(lint.${rule} PROPERTIES LABELS lint TIMEOUT 300
        ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR};RAMET_BUILD=${CMAKE_BINARY_DIR};RAMET_FAILPOINTS=${RAMET_FAILPOINTS}")
endforeach()
