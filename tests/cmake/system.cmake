# Each system/test_NAME.sh is a test. They run beside each other: each has a farm in a folder of its
# own, with ports of its own. What takes longest begins first.
set(system_longest resume stranger scripts crowd hung_broker catalogue kills first_boot stacks running_source)
# Alone, because:
set(system_alone
    second_image    # it counts bytes on the wire and takes the farm's idle talk off by the clock
    flood hostile)  # they ask how soon commands are answered, and make all the load themselves
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/system/test_*.sh)
foreach(script IN LISTS scripts)
    string(REGEX REPLACE ".*/test_(.*)[.]sh" "\\1" name ${script})
    add_test(NAME system.${name} COMMAND ${ramet_own_mounts} ${script})
    set_tests_properties(system.${name} PROPERTIES LABELS system TIMEOUT 600
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
    if(name IN_LIST system_alone)
        set_tests_properties(system.${name} PROPERTIES RUN_SERIAL ON)
    elseif(name IN_LIST system_longest)
        set_tests_properties(system.${name} PROPERTIES COST 50)
    endif()
endforeach()

# What scripts find out about processes.
add_test(NAME unit.lives COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/test_lives.py)
set_tests_properties(unit.lives PROPERTIES LABELS unit TIMEOUT 60
    ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR}")

# Machines as others have them, each outside/test_KIND.sh a test.
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/outside/test_*.sh)
foreach(script IN LISTS scripts)
    string(REGEX REPLACE ".*/test_(.*)[.]sh" "\\1" name ${script})
    add_test(NAME outside.${name} COMMAND ${ramet_own_mounts} ${script})
    set_tests_properties(outside.${name} PROPERTIES LABELS outside TIMEOUT 300
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()

# The kill matrix needs failpoints. Of its four parts each has a farm.
if(RAMET_FAILPOINTS AND NOT RAMET_SANITIZE)
    set(kill_matrix ${CMAKE_CURRENT_SOURCE_DIR}/system/kill_matrix.sh)
    foreach(part RANGE 3)
        add_test(NAME kill.part_${part} COMMAND ${ramet_own_mounts} ${kill_matrix})
        set_tests_properties(kill.part_${part} PROPERTIES LABELS kill TIMEOUT 300  # One takes 35 s
            ENVIRONMENT "RAMET_KILL_CELLS=40;RAMET_KILL_PART=${part}/4;RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
        ramet_long(kill part_${part} ENVIRONMENT RAMET_KILL_PART=${part}/4 COMMAND ${kill_matrix})
    endforeach()
endif()
add_custom_target(programs DEPENDS ramet ramet-agent ramet-broker ramet-compare ramet-diskw
    ramet-gateway ramet-imager ramet-installer shift_clock slow_sync)

ramet_long(hangs system ENVIRONMENT RAMET_HANGS=20
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_hung_broker.sh)

add_executable(ramet-manifest-size tools/rmt-manifest-size.c)
target_link_libraries(ramet-manifest-size PRIVATE ramet_flags ramet::exchange)
set_target_properties(ramet-manifest-size PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_executable(ramet-crowd tools/rmt-crowd.c)
target_link_libraries(ramet-crowd PRIVATE ramet_flags ramet::net ramet::facts ramet::base)
set_target_properties(ramet-crowd PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
ramet_long(crowd system ENVIRONMENT RAMET_CROWD=10000
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_crowd.sh)
