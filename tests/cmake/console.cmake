ramet_test(unit fold_names NEEDS ramet::console ramet::base)
ramet_test(unit output NEEDS ramet::console ramet::wire ramet::base USES util)
ramet_test(unit command NEEDS ramet::console ramet::base)
ramet_test(unit moment NEEDS ramet::console ramet::base)
# The board of `job watch`, for the terminal of tests/system/test_watch.sh.
add_executable(ramet-board tools/rmt-board.c)
target_include_directories(ramet-board PRIVATE "${PROJECT_SOURCE_DIR}/tests")
target_link_libraries(ramet-board PRIVATE ramet_flags PkgConfig::CMOCKA ramet::console ramet::base)
set_target_properties(ramet-board PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
