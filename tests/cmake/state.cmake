ramet_test(unit audit_file SOURCES tools/refuse_each.c NEEDS ramet::broker ramet::crypto ramet::base)
ramet_test(unit state_file NEEDS ramet::broker ramet::base)
ramet_test(unit sentinel NEEDS ramet::state ramet::base TIMEOUT 60)
ramet_test(unit redis_settings NEEDS ramet::broker ramet::state ramet::crypto ramet::base)
ramet_test(unit dispatch NEEDS ramet::broker ramet::base)
# Preloaded by tests: a program with another time of day.
add_library(shift_clock MODULE tools/shift_clock.c)
# Without a sanitizer, which the redis-server that loads it does not have.
target_compile_definitions(shift_clock PRIVATE _GNU_SOURCE)
target_compile_options(shift_clock PRIVATE -Wall -Wextra -Werror)
set_target_properties(shift_clock PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
# The same for a disk that is slow.
add_library(slow_sync MODULE tools/slow_sync.c)
target_compile_options(slow_sync PRIVATE -Wall -Wextra -Werror)
set_target_properties(slow_sync PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")

foreach(noun audit records keys tasks store power schedule deploy retry radius secrets steps stuck doctor clock trust brokers)
    ramet_test(integration state_${noun}
        SOURCES integration/state_farm.c integration/redis_server.c NEEDS ramet::state ramet::base TIMEOUT 120)
endforeach()
add_dependencies(test_integration_state_clock shift_clock)
ramet_test(integration states SOURCES integration/state_farm.c integration/redis_server.c NEEDS ramet::state ramet::base TIMEOUT 60)
foreach(name broker broker_console broker_jobs broker_messages broker_refused broker_revoke broker_roles broker_wire)
    ramet_test(integration ${name} SOURCES integration/broker_farm.c integration/redis_server.c
        NEEDS ramet::net ramet::facts ramet::crypto ramet::base TIMEOUT 120)
endforeach()
# It reads who may use which verb from the page.
set_property(TEST integration.broker_roles APPEND PROPERTY ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
