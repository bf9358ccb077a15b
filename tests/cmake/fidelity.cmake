ramet_test(fidelity cases
    SOURCES fidelity/act.c fidelity/stage.c fidelity/names.c fidelity/contents.c
        fidelity/attributes.c tools/tree_lab.c
    NEEDS ramet::tree TIMEOUT 240)
ramet_test(fidelity running
    SOURCES fidelity/act.c fidelity/stage.c tools/tree_lab.c NEEDS ramet::tree TIMEOUT 120)
