# Machines that netboot and are installed, in QEMU. Those of label qemu are all in CI.
foreach(name main_job live_debian debian_xfs debian_btrfs power again cut_off shuffle bad_input proxy_dhcp)
    add_test(NAME qemu.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/qemu/test_${name}.sh)
    set_tests_properties(qemu.${name} PROPERTIES LABELS qemu TIMEOUT 900
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
endforeach()
