ramet_test(unit boot_code NEEDS ramet::machine TIMEOUT 10)
ramet_test(unit esp NEEDS ramet::machine TIMEOUT 10)
