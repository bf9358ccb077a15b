// must - what an oracle of a fuzzer holds for true, whatever its input was.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                  \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            perror(#condition);                                                          \
            abort();                                                                     \
        }                                                                                \
    } while (0)
