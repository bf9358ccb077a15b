foreach(name fold lanes quota)
    ramet_test(unit ${name} NEEDS ramet::broker ramet::base)
endforeach()
foreach(name broker_connections broker_limits broker_strikes)
    ramet_test(integration ${name} SOURCES integration/broker_farm.c integration/redis_server.c
        NEEDS ramet::net ramet::facts ramet::crypto ramet::base TIMEOUT 240)
endforeach()
ramet_test(integration state_backlog
    SOURCES integration/state_farm.c integration/redis_server.c
    NEEDS ramet::state ramet::base TIMEOUT 60)

foreach(name flood hostile)
    add_executable(ramet-${name} tools/rmt-${name}.c tools/hostile_key.c)
    target_include_directories(ramet-${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(ramet-${name} PRIVATE ramet_flags
        ramet::net ramet::wire ramet::facts ramet::crypto ramet::base)
    set_target_properties(ramet-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endforeach()
ramet_long(flood system ENVIRONMENT RAMET_FLOOD_S=60
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_flood.sh)
ramet_long(flood hostile ENVIRONMENT RAMET_HOSTILE_S=300
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/system/test_hostile.sh)
# Each floods a broker and asks within how long another peer is served, so never two at a time.
set_tests_properties(integration.broker_connections integration.broker_limits
    integration.broker_strikes PROPERTIES RESOURCE_LOCK flood)
