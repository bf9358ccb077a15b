ramet_test(unit feed NEEDS ramet::gateway)
