ramet_test(unit feed NEEDS ramet::gateway)
ramet_test(unit topics NEEDS ramet::gateway ramet::wire ramet::base)
ramet_test(unit settings NEEDS ramet::gateway ramet::base)
ramet_test(unit web NEEDS ramet::gateway)
