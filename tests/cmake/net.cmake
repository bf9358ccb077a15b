ramet_test(unit config NEEDS ramet::base)
ramet_test(unit endpoint NEEDS ramet::facts ramet::base)
ramet_test(unit held_task NEEDS ramet::net ramet::base)
ramet_test(integration net SOURCES integration/farm.c NEEDS ramet::net ramet::base TIMEOUT 60)
foreach(name worker worker_brokers)
    ramet_test(integration ${name} SOURCES integration/worker_crew.c integration/farm.c
        NEEDS ramet::net ramet::base TIMEOUT 120)
endforeach()
ramet_test(integration client SOURCES integration/farm.c NEEDS ramet::net ramet::base TIMEOUT 60)
