ramet_test(unit location NEEDS ramet::net TIMEOUT 10)
ramet_test(unit stacks NEEDS ramet::system ramet::machine TIMEOUT 20)
ramet_test(unit firstboot NEEDS ramet::agent TIMEOUT 20)
ramet_program(rmt-personalise SOURCES tools/rmt-personalise.c NEEDS ramet::system ramet::machine)
