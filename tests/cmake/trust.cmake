ramet_test(unit trust_root NEEDS ramet::trust ramet::base)
ramet_test(unit release NEEDS ramet::trust ramet::base)
ramet_test(unit warrant NEEDS ramet::trust ramet::facts ramet::base)
