# Machines in QEMU: whole systems start, by software emulation. MACHINES is how many of them work at
# once, each on one processor, which ctest -j counts; what takes longest begins first.
set(time_left 100)
function(qemu_test name machines)
    add_test(NAME qemu.${name} COMMAND ${ramet_own_mounts}
        ${CMAKE_CURRENT_SOURCE_DIR}/qemu/test_${name}.sh)
    set_tests_properties(qemu.${name} PROPERTIES LABELS qemu TIMEOUT 900
        PROCESSORS ${machines} COST ${time_left}
        ENVIRONMENT "RAMET_BIN=${CMAKE_BINARY_DIR}/bin;RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
    math(EXPR time_left "${time_left} - 1")
    set(time_left ${time_left} PARENT_SCOPE)
endfunction()
qemu_test(thin_kernel 1)
qemu_test(bare 1)
qemu_test(debian_btrfs 2)
qemu_test(cut_off 1)
qemu_test(debian_xfs 2)
qemu_test(power 1)
qemu_test(live_debian 2)
qemu_test(again 1)
qemu_test(shuffle 2)
qemu_test(bare_install 1)
qemu_test(metal 1)
qemu_test(boot_record 1)
qemu_test(bad_input 2)
qemu_test(proxy_dhcp 2)
qemu_test(bare_words 2)
qemu_test(lvm_snapshot 1)
qemu_test(lvm 1)
qemu_test(fidelity 1)
qemu_test(nvram 1)
qemu_test(dual_boot 1)
# It measures how soon a machine is up.
set_tests_properties(qemu.bare PROPERTIES RUN_SERIAL ON)
