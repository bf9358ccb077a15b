ramet_test(integration diskw NEEDS ramet::agent ramet::tree ramet::machine ramet::store TIMEOUT 120)
