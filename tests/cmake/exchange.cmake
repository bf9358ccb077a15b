ramet_test(unit grants NEEDS ramet::exchange ramet::net ramet::wire ramet::base TIMEOUT 10)
foreach(name fetch offer)
    ramet_test(integration exchange_${name} SOURCES integration/exchange_farm.c unit/store_fixture.c
        NEEDS ramet::exchange ramet::store ramet::net ramet::wire ramet::base TIMEOUT 120)
endforeach()
