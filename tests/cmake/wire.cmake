ramet_test(unit base NEEDS ramet::base)
ramet_test(unit key NEEDS ramet::crypto)
ramet_test(unit codec NEEDS ramet::wire)
