ramet_test(unit chunker NEEDS ramet::store TIMEOUT 20)
ramet_test(unit chunk NEEDS ramet::store TIMEOUT 20)
ramet_test(unit entry SOURCES unit/shelf.c NEEDS ramet::store ramet::base TIMEOUT 20)
ramet_test(unit manifest SOURCES unit/shelf.c NEEDS ramet::store ramet::base TIMEOUT 60)
foreach(name store store_damage)
    ramet_test(unit ${name} SOURCES unit/store_fixture.c NEEDS ramet::store ramet::wire ramet::base TIMEOUT 60)
endforeach()
ramet_test(unit scrub NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c
    tools/refuse.c TIMEOUT 60)
ramet_test(unit gc NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 60)
ramet_test(unit commit_order NEEDS ramet::store ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 60)
ramet_test(unit failpoint NEEDS ramet::base_failpoints TIMEOUT 20)
ramet_test(unit store_failpoints NEEDS ramet::store_failpoints ramet::wire_failpoints
    ramet::base_failpoints SOURCES unit/store_fixture.c TIMEOUT 600)
ramet_test(unit store_refused NEEDS ramet::store_failpoints ramet::wire_failpoints
    ramet::base_failpoints SOURCES unit/store_fixture.c tools/refuse.c TIMEOUT 300)
ramet_test(unit store_each NEEDS ramet::store ramet::wire ramet::base
    SOURCES unit/store_fixture.c tools/refuse_each.c TIMEOUT 300)
