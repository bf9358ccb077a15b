foreach(name lanes quota)
    ramet_test(unit ${name} NEEDS ramet::broker ramet::base)
endforeach()
foreach(name broker_limits broker_strikes)
    ramet_test(integration ${name} SOURCES integration/broker_farm.c integration/redis_server.c
        NEEDS ramet::net ramet::facts ramet::crypto ramet::base TIMEOUT 120)
endforeach()
ramet_test(integration state_backlog
    SOURCES integration/state_farm.c integration/redis_server.c
    NEEDS ramet::state ramet::base TIMEOUT 60)
