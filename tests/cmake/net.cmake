ramet_test(unit config NEEDS ramet::base)
ramet_test(unit address NEEDS ramet::net)
ramet_test(integration net NEEDS ramet::net TIMEOUT 120)
