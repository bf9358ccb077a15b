ramet_test(unit feed NEEDS ramet::gateway)
ramet_test(unit web NEEDS ramet::gateway)
