# Each lint/check_NAME.sh is a law of the house; it says at its head what it refuses.
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/lint/check_*.sh)
foreach(script IN LISTS scripts)
    string(REGEX REPLACE ".*/check_(.*)[.]sh" "\\1" name ${script})
    add_test(NAME lint.${name} COMMAND ${script})
    set_tests_properties(lint.${name} PROPERTIES LABELS lint TIMEOUT 300
        ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR};RAMET_BUILD=${CMAKE_BINARY_DIR};RAMET_FAILPOINTS=${RAMET_FAILPOINTS}")
endforeach()

# Each of them is seen refusing what it is for.
add_test(NAME lint.controls COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lint/controls.sh)
set_tests_properties(lint.controls PROPERTIES LABELS lint TIMEOUT 600
    ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR};RAMET_BUILD=${CMAKE_BINARY_DIR}")
# The longest begins first, and works on all processors.
set_tests_properties(lint.tidy PROPERTIES COST 100 TIMEOUT 600)
