# The network link that tests play (tools/rmt-link.c).
ramet_test(unit link_way SOURCES tools/link_way.c NEEDS ramet::base)
add_executable(ramet-link tools/rmt-link.c tools/link_way.c)
target_include_directories(ramet-link PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(ramet-link PRIVATE ramet_flags ramet::base)
set_target_properties(ramet-link PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
