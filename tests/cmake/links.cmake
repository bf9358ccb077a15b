# The network link that tests play (tools/rmt-link.c).
ramet_test(unit link_way SOURCES tools/link_way.c NEEDS ramet::base)
add_executable(ramet-link tools/rmt-link.c tools/link_way.c)
target_include_directories(ramet-link PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(ramet-link PRIVATE ramet_flags ramet::base)
set_target_properties(ramet-link PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# Each link of the long form is a test, so that they run beside each other.
set(links ${CMAKE_CURRENT_SOURCE_DIR}/system/test_links.sh)
ramet_long(links quick COMMAND ${links})
ramet_long(links slow ENVIRONMENT "RAMET_LINKS=plain late lossy lossy_1 lossy_15 slow narrow one_way" COMMAND ${links})
ramet_long(links late_2_s ENVIRONMENT RAMET_LINKS=late_2_s COMMAND ${links})
ramet_long(links holes ENVIRONMENT "RAMET_LINKS=capture_60 install_60" COMMAND ${links})
foreach(hole capture_600 install_600)
    ramet_long(links ${hole} ENVIRONMENT RAMET_LINKS=${hole} COMMAND ${links})
endforeach()
ramet_long(links large ENVIRONMENT "RAMET_LINKS_MIB=256;RAMET_LINKS=lossy_1 share_of_tcp" COMMAND ${links})
set_tests_properties(long.links.large PROPERTIES RUN_SERIAL ON)  # It compares speeds

ramet_long(soak farm COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/soak.sh)
