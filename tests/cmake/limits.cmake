ramet_test(unit lanes NEEDS ramet::broker ramet::base)
ramet_test(integration broker_limits
    SOURCES integration/broker_farm.c integration/redis_server.c
    NEEDS ramet::net ramet::facts ramet::crypto ramet::base TIMEOUT 120)
