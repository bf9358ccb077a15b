# The simulation (docs/testing.md). Its Redis is the real function library in Lua 5.1, as in Redis;
# the long form has the same library in LuaJIT's interpreter, which takes two thirds of the time.
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.1)
pkg_check_modules(LUAJIT REQUIRED IMPORTED_TARGET luajit)

# sim_redis(NAME SOURCE... LUA...): the Redis of the simulation over one Lua.
function(sim_redis name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LUA" ${ARGN})
    add_library(${name} STATIC sim/sim_arena.c sim/sim_redis.c ${ARG_SOURCES})
    target_compile_definitions(${name} PRIVATE SIM_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}/sim")
    target_include_directories(${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ramet_flags ${ARG_LUA}
        PUBLIC ramet::state ramet::crypto ramet::base)
endfunction()
sim_redis(ramet_sim_redis LUA PkgConfig::LUA)
# The archive, so that the linker can take away the chance in LuaJIT's tables (sim_luajit.c).
find_library(LUAJIT_ARCHIVE libluajit-5.1.a REQUIRED)
sim_redis(ramet_sim_redis_fast SOURCES sim/sim_luajit.c LUA "${LUAJIT_ARCHIVE}" m dl)
target_include_directories(ramet_sim_redis_fast PRIVATE ${LUAJIT_INCLUDE_DIRS})
target_link_options(ramet_sim_redis_fast PUBLIC -Wl,--wrap=syscall,--undefined=__wrap_syscall)

# The tests of the library pass over the Redis of the simulation as over the real one; those of
# backlog, clock, keys and records do more to a real one than call the library.
foreach(noun deploy doctor radius steps store stuck tasks)
    add_executable(test_sim_state_${noun} integration/test_state_${noun}.c
        integration/state_farm.c sim/plain_state.c)
    target_link_libraries(test_sim_state_${noun} PRIVATE ramet_flags PkgConfig::CMOCKA
        ramet_sim_redis)
    set_target_properties(test_sim_state_${noun} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME sim.state_${noun} COMMAND test_sim_state_${noun})
    set_tests_properties(sim.state_${noun} PROPERTIES LABELS sim TIMEOUT 60)
endforeach()
ramet_test(integration sim_redis SOURCES integration/state_farm.c integration/redis_server.c
    NEEDS ramet_sim_redis TIMEOUT 60)

# The farm of the simulation. Its own rmt_socket, rmt_zap, rmt_state and rmt_task stand before
# those of the libraries; single functions are replaced by the linker (sim_wraps.h).
add_library(ramet_sim_farm OBJECT sim/ramet_sim.c sim/sim_audit.c sim/sim_bugs.c sim/sim_check.c
    sim/sim_console.c sim/sim_farm.c sim/sim_net.c sim/sim_seed.c sim/sim_state.c sim/sim_task.c
    sim/sim_work.c sim/sim_world.c sim/sim_zap.c
    "${PROJECT_SOURCE_DIR}/workers/agent/install/gate.c"
    "${PROJECT_SOURCE_DIR}/workers/agent/install/order.c")
target_compile_definitions(ramet_sim_farm PRIVATE SIM_FOLDER="${CMAKE_CURRENT_SOURCE_DIR}/sim")
target_include_directories(ramet_sim_farm PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(ramet_sim_farm PRIVATE ramet_flags ramet::broker ramet::net)
foreach(function rmt_clock_ms rmt_clock_wall_ms rmt_random_bytes rmt_io_load rmt_guarded_load
        rmt_io_save rmt_signals_read rmt_key_new rmt_inventory_own_identity
        rmt_audit_file_new rmt_audit_file_destroy rmt_audit_file_open rmt_audit_file_key
        rmt_audit_file_size rmt_audit_file_begun_ms rmt_audit_file_next rmt_audit_file_append
        rmt_aside_begin zsock_destroy_checked)
    list(APPEND sim_wraps -Wl,--wrap=${function})
endforeach()
foreach(speed "" _fast)
    string(REPLACE _ - program "ramet-sim${speed}")
    add_executable(${program} $<TARGET_OBJECTS:ramet_sim_farm>)
    target_link_libraries(${program} PRIVATE ramet_sim_redis${speed} ramet::broker ramet::net)
    target_link_options(${program} PRIVATE ${sim_wraps})
    set_target_properties(${program} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
endforeach()

# 1,000 seeds are whole, and each mistake that is put there is found within 1,000.
foreach(part RANGE 3)
    math(EXPR first "${part} * 250 + 1")
    add_test(NAME sim.seeds_${part} COMMAND ramet-sim --seed ${first} --count 250)
    set_tests_properties(sim.seeds_${part} PROPERTIES LABELS sim TIMEOUT 600)
endforeach()
foreach(bug lost-fsync no-gate-at-agent no-new-life-at-agent lock-lapses armed-lock-released
        no-attempt-check result-twice arm-without-lock join-forgotten end-not-looked-at
        lease-not-reaped no-idempotency era-not-raised awaited-broker-ignored
        live-writer-taken-over go-refused-without-end audit-told-twice audit-restore-unseen)
    add_test(NAME sim.bug_${bug} COMMAND ramet-sim --bug ${bug} --count 1000)
    set_tests_properties(sim.bug_${bug} PROPERTIES LABELS sim TIMEOUT 600)
endforeach()
add_test(NAME sim.calm COMMAND ramet-sim --calm --count 50)
add_test(NAME sim.replay COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/sim/replay.sh")
set_tests_properties(sim.calm sim.replay PROPERTIES LABELS sim TIMEOUT 120
    ENVIRONMENT "RAMET_SIM=$<TARGET_FILE:ramet-sim>;RAMET_SIM_FAST=$<TARGET_FILE:ramet-sim-fast>")
# The long form has 100,000 in four parts, which run beside each other, and the mistake that is found once
# in some thousand seeds.
ramet_long(sim bug_take-for-an-old-greeting
    COMMAND $<TARGET_FILE:ramet-sim-fast> --bug take-for-an-old-greeting --count 12000)
foreach(part RANGE 3)
    math(EXPR first "${part} * 25000 + 1")
    ramet_long(sim seeds_${part} COMMAND $<TARGET_FILE:ramet-sim-fast> --seed ${first} --count 25000)
endforeach()
