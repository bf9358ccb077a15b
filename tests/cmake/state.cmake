ramet_test(unit dispatch NEEDS ramet::broker)
ramet_test(integration state SOURCES integration/redis_server.c NEEDS ramet::state TIMEOUT 60)
ramet_test(integration broker SOURCES integration/redis_server.c NEEDS ramet::net TIMEOUT 120)
