ramet_test(fidelity cases
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c
    NEEDS ramet::tree TIMEOUT 240)
ramet_test(fidelity export
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c tools/archive_lab.c
    NEEDS ramet::archive ramet::tree TIMEOUT 240)
ramet_test(fidelity running
    SOURCES fidelity/act.c fidelity/stage.c tools/tree_lab.c NEEDS ramet::tree TIMEOUT 180)
ramet_test(fidelity limits
    SOURCES fidelity/act.c fidelity/stage.c tools/tree_lab.c
    NEEDS ramet::tree ramet::machine TIMEOUT 180)
add_test(NAME fidelity.doc COMMAND ${CMAKE_CURRENT_LIST_DIR}/../fidelity/check_doc.sh)
set_tests_properties(fidelity.doc PROPERTIES LABELS "fidelity;lint" TIMEOUT 60
    ENVIRONMENT "RAMET_SOURCE=${PROJECT_SOURCE_DIR}")
