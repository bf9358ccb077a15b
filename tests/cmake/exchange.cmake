ramet_test(integration exchange NEEDS ramet::exchange SOURCES unit/store_fixture.c TIMEOUT 120)
