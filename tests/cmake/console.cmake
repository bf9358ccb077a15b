ramet_test(unit output NEEDS ramet::console ramet::base USES util)
ramet_test(unit command NEEDS ramet::console ramet::base)
ramet_test(unit moment NEEDS ramet::console ramet::base)
