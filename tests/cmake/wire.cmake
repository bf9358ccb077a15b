ramet_test(unit codec NEEDS ramet::wire)
