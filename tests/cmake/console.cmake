ramet_test(unit command NEEDS ramet::console ramet::base)
ramet_test(unit moment NEEDS ramet::console ramet::base)
