# The power is cut under a store and under Redis. RAMET_CUTS says how often.
ramet_test(cuts store SOURCES cuts/power.c unit/store_fixture.c
    NEEDS ramet::store ramet::wire ramet::base TIMEOUT 120)
ramet_test(cuts redis SOURCES cuts/power.c integration/state_farm.c integration/redis_server.c
    NEEDS ramet::state ramet::base TIMEOUT 120)
foreach(name store redis)
    ramet_long(cuts ${name} ENVIRONMENT RAMET_CUTS=200)
endforeach()
