# Faults are planted in a copy of the tree, with a build of its own (docs/testing.md, "Planted faults").
ramet_long(planted all COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/planted/run.sh)
