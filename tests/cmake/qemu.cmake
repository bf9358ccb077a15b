# Machines in QEMU: whole systems start, by software emulation.
foreach(name thin_kernel bare bare_install metal lvm_snapshot)
    add_test(NAME qemu.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/qemu/test_${name}.sh)
    set_tests_properties(qemu.${name} PROPERTIES LABELS qemu TIMEOUT 600
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
# The one measures how soon a machine is up; the other makes the thin-kernel that all start.
set_tests_properties(qemu.thin_kernel qemu.bare PROPERTIES RUN_SERIAL ON)
