ramet_test(unit grants NEEDS ramet::exchange ramet::net ramet::wire ramet::base TIMEOUT 10)
ramet_test(unit chooser NEEDS ramet::exchange ramet::base TIMEOUT 30)
ramet_test(unit ring NEEDS ramet::exchange ramet::wire ramet::base TIMEOUT 10)
foreach(name fetch read hostile offer relay)
    ramet_test(integration exchange_${name} SOURCES integration/exchange_farm.c unit/store_fixture.c
        NEEDS ramet::exchange ramet::store ramet::net ramet::wire ramet::base TIMEOUT 120)
    set_property(TEST integration.exchange_${name} APPEND PROPERTY ENVIRONMENT
        "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tools/lsan.supp")
endforeach()
# A grant ends after ten minutes at the least, and a fetch from a holder that beats after five.
foreach(name offer hostile)
    target_link_options(test_integration_exchange_${name} PRIVATE -Wl,--wrap=rmt_clock_ms)
endforeach()
