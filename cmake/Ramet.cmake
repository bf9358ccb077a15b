# The build vocabulary of ramet: ramet_library, ramet_program, ramet_test, and the flags target.
include(GNUInstallDirs)
find_package(PkgConfig REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
# Assertions stay on in every build, so no -DNDEBUG.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

set(RAMET_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
option(RAMET_COVERAGE "Instrument for gcov" OFF)
option(RAMET_FAILPOINTS "Build everything with failpoints (lib/base/rmt_failpoint.h)" OFF)
option(RAMET_FUZZ "Build the fuzz drivers with libFuzzer (clang)" OFF)

# CMake keeps what pkg-config says, but not which of its words are folders of headers: from its cache
# the flags of every file would come in another order, and a tree that is built would be built again.
unset(__pkg_config_checked_CZMQ CACHE)
pkg_check_modules(CZMQ REQUIRED IMPORTED_TARGET libczmq libzmq)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(LZMA REQUIRED IMPORTED_TARGET liblzma)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(KMOD REQUIRED IMPORTED_TARGET libkmod)
pkg_check_modules(FDISK REQUIRED IMPORTED_TARGET fdisk)
pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)
pkg_check_modules(MOUNT REQUIRED IMPORTED_TARGET mount)
pkg_check_modules(BTRFSUTIL REQUIRED IMPORTED_TARGET libbtrfsutil)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(FUSE REQUIRED IMPORTED_TARGET fuse3)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(SMARTCOLS REQUIRED IMPORTED_TARGET smartcols)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SELINUX REQUIRED IMPORTED_TARGET libselinux)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

add_library(ramet_flags INTERFACE)
target_compile_definitions(ramet_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
    RMT_VERSION="${PROJECT_VERSION}")
# An include names the room of the header: "disk/rmt_fs.h", "agent/install/order.h",
# "broker/roster.h".
target_include_directories(ramet_flags INTERFACE "${PROJECT_SOURCE_DIR}/lib"
    "${PROJECT_SOURCE_DIR}/workers" "${PROJECT_SOURCE_DIR}")
# A program needs only the libraries that it calls. Three quarters of an agent are what debuggers
# read, and it goes onto every target for the first boot, whose files have 24 MiB.
target_link_options(ramet_flags INTERFACE -Wl,--as-needed -Wl,--compress-debug-sections=zlib)
# The same source gives the same program in whatever folder it lies.
target_compile_options(ramet_flags INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_compile_options(ramet_flags INTERFACE -Wall -Wextra -Werror -Wshadow -Wconversion -Wvla
    -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -fstack-protector-strong
    # snprintf cuts on purpose where texts are for people, so that is no warning.
    $<$<C_COMPILER_ID:GNU>:-Wjump-misses-init> $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
if(RAMET_SANITIZE)      # Not a generator expression: the list has commas in it.
    target_compile_options(ramet_flags INTERFACE -fsanitize=${RAMET_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(ramet_flags INTERFACE -fsanitize=${RAMET_SANITIZE})
endif()
if(RAMET_FAILPOINTS)
    target_compile_definitions(ramet_flags INTERFACE RAMET_FAILPOINTS)
endif()
if(RAMET_COVERAGE)
    target_compile_options(ramet_flags INTERFACE --coverage)
    # Tests look for this function (tests/tools/rmt_child.h), and nothing else calls it.
    target_link_options(ramet_flags INTERFACE --coverage -Wl,-u,__gcov_dump)
endif()

# ramet_library(NAME SOURCES ... NEEDS ramet::x ... USES PkgConfig::Y ...)
# NEEDS is passed on to users; USES stays behind this library's door.
# Its twin ramet::NAME_failpoints has failpoints in every build, for tests; it is built only
# where a test needs it.
function(ramet_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;NEEDS;USES" ${ARGN})
    add_library(ramet_${name} STATIC ${ARG_SOURCES})
    add_library(ramet::${name} ALIAS ramet_${name})
    target_link_libraries(ramet_${name} PUBLIC ${ARG_NEEDS} PRIVATE ramet_flags ${ARG_USES})
    if(RAMET_FAILPOINTS)
        add_library(ramet::${name}_failpoints ALIAS ramet_${name})
        return()
    endif()
    list(TRANSFORM ARG_NEEDS APPEND _failpoints REGEX "^ramet::")
    add_library(ramet_${name}_failpoints STATIC EXCLUDE_FROM_ALL ${ARG_SOURCES})
    add_library(ramet::${name}_failpoints ALIAS ramet_${name}_failpoints)
    target_compile_definitions(ramet_${name}_failpoints PUBLIC RAMET_FAILPOINTS)
    target_link_libraries(ramet_${name}_failpoints PUBLIC ${ARG_NEEDS}
        PRIVATE ramet_flags ${ARG_USES})
endfunction()

# ramet_program(NAME PACKAGE p SOURCES ... NEEDS ...): an executable, installed to bin by the package p
# (its own name).
function(ramet_program name)
    cmake_parse_arguments(ARG "" "PACKAGE" "SOURCES;NEEDS;USES" ${ARGN})
    if(NOT ARG_PACKAGE)
        set(ARG_PACKAGE ${name})
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ramet_flags ${ARG_NEEDS} ${ARG_USES})
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${ARG_PACKAGE})
endfunction()

# Tests beside each other must not hold each other's file systems: a mount that another one has
# copied into a namespace keeps its device in use. Each begins in a namespace of its own.
set(ramet_own_mounts unshare --mount --propagation slave)

# ramet_test(LABEL NAME NEEDS ... TIMEOUT s): builds LABEL/test_NAME.c and runs it as
# "LABEL.NAME" with ctest label LABEL.
function(ramet_test label name)
    cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;NEEDS;USES" ${ARGN})
    set(target test_${label}_${name})
    add_executable(${target} ${label}/test_${name}.c ${ARG_SOURCES})
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
    target_link_libraries(${target} PRIVATE ramet_flags PkgConfig::CMOCKA ${ARG_NEEDS} ${ARG_USES})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_test(NAME ${label}.${name} COMMAND ${ramet_own_mounts} $<TARGET_FILE:${target}>)
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 20)
    endif()
    set_tests_properties(${label}.${name} PROPERTIES LABELS ${label} TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

# ramet_long(PART NAME ENVIRONMENT X=y ... COMMAND ...): a test in its long form, of an hour at most,
# as "long.PART.NAME" with label long-PART. The environment tells the test to go on longer. Without a
# command it is the program of the test PART.NAME.
function(ramet_long part name)
    cmake_parse_arguments(ARG "" "" "ENVIRONMENT;COMMAND" ${ARGN})
    if(NOT ARG_COMMAND)
        set(ARG_COMMAND $<TARGET_FILE:test_${part}_${name}>)
    endif()
    add_test(NAME long.${part}.${name} COMMAND ${ramet_own_mounts} ${ARG_COMMAND})
    set_tests_properties(long.${part}.${name} PROPERTIES LABELS long-${part} TIMEOUT 3600
        ENVIRONMENT "${ARG_ENVIRONMENT};RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()
