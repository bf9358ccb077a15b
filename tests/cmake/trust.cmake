ramet_test(unit trust_root NEEDS ramet::trust ramet::base)
