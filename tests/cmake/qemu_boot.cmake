# Disks that firmware starts, in QEMU.
foreach(name boot_record nvram fidelity)
    add_test(NAME qemu.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/qemu/test_${name}.sh)
    set_tests_properties(qemu.${name} PROPERTIES LABELS qemu TIMEOUT 900
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
