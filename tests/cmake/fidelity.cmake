ramet_test(fidelity cases
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c
    NEEDS ramet::tree ramet::base TIMEOUT 240)
ramet_test(fidelity export
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c tools/archive_lab.c
    NEEDS ramet::archive ramet::tree ramet::base TIMEOUT 240)
ramet_test(fidelity mount
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c
    NEEDS ramet::mount ramet::tree ramet::base TIMEOUT 240)
ramet_test(fidelity running
    SOURCES fidelity/act.c fidelity/stage.c tools/tree_lab.c NEEDS ramet::tree ramet::base TIMEOUT 180)
ramet_test(fidelity limits
    SOURCES fidelity/act.c fidelity/stage.c tools/tree_lab.c
    NEEDS ramet::tree ramet::disk ramet::base TIMEOUT 180)
# Runs in a machine: qemu.fidelity.
add_executable(test_fidelity_guest fidelity/test_guest.c fidelity/act.c fidelity/stage.c
    tools/tree_lab.c)
target_include_directories(test_fidelity_guest PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(test_fidelity_guest PRIVATE ramet_flags PkgConfig::CMOCKA ramet::tree)
set_target_properties(test_fidelity_guest PROPERTIES RUNTIME_OUTPUT_DIRECTORY
    "${CMAKE_BINARY_DIR}/tests")
add_test(NAME fidelity.doc COMMAND ${CMAKE_CURRENT_LIST_DIR}/../fidelity/check_doc.sh)
set_tests_properties(fidelity.doc PROPERTIES LABELS lint TIMEOUT 300
    ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
ramet_test(fidelity update
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c
    NEEDS ramet::tree ramet::base TIMEOUT 240)
