ramet_test(unit chunker NEEDS ramet::store TIMEOUT 20)
ramet_test(unit chunk NEEDS ramet::store TIMEOUT 20)
ramet_test(unit entry SOURCES unit/shelf.c NEEDS ramet::store ramet::base TIMEOUT 20)
ramet_test(unit manifest SOURCES unit/shelf.c NEEDS ramet::store ramet::base TIMEOUT 60)
foreach(name store store_damage)
    ramet_test(unit ${name} SOURCES unit/store_fixture.c NEEDS ramet::store ramet::wire ramet::base TIMEOUT 60)
endforeach()
ramet_test(unit scrub NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 60)
ramet_test(unit gc NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 60)
ramet_test(unit commit_order NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 60)
ramet_test(unit failpoint NEEDS ramet::base_failpoints TIMEOUT 20)
ramet_test(unit store_failpoints NEEDS ramet::store_failpoints ramet::wire_failpoints
    ramet::base_failpoints SOURCES unit/store_fixture.c TIMEOUT 120)

# fuzz/fuzz_NAME.c, by libFuzzer with RAMET_FUZZ, else over its corpus and so many mutations
# of each file as a plain test.
function(ramet_fuzz_mutated name mutations)
    add_executable(fuzz_${name} fuzz/fuzz_${name}.c)
    target_link_libraries(fuzz_${name} PRIVATE ramet_flags ${ARGN})
    if(RAMET_FUZZ)
        target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        return()
    endif()
    target_sources(fuzz_${name} PRIVATE fuzz/mutate.c)
    target_compile_definitions(fuzz_${name} PRIVATE RAMET_MUTATIONS=${mutations})
    add_test(NAME fuzz.${name}
        COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 60)
endfunction()

ramet_fuzz_mutated(manifest 3000 ramet::store)
ramet_fuzz_mutated(tree 400 ramet::tree)
ramet_fuzz_mutated(layout 3000 ramet::facts)
