ramet_test(integration exchange NEEDS ramet::exchange ramet::store ramet::net ramet::wire ramet::base SOURCES unit/store_fixture.c TIMEOUT 120)
