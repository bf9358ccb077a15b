# Disks that firmware starts, in QEMU.
add_test(NAME qemu.boot_record COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/qemu/test_boot_record.sh)
set_tests_properties(qemu.boot_record PROPERTIES LABELS qemu TIMEOUT 900 RUN_SERIAL ON
    ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
