ramet_test(unit netboot NEEDS ramet::installer TIMEOUT 20)
ramet_test(unit agent NEEDS ramet::agent TIMEOUT 20)
ramet_test(integration diskw NEEDS ramet::agent ramet::tree ramet::machine ramet::store TIMEOUT 120)
ramet_test(unit bare NEEDS ramet::agent TIMEOUT 20)
