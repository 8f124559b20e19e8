/* fuzz.h - what a fuzz target defines: fuzz_NAME.c has this one function, its corpus is in
 * corpus/NAME/, its dictionary (if any) is NAME.dict. libFuzzer calls it, or replay.c does. */
#ifndef BUSTAP_TESTS_FUZZ_H
#define BUSTAP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
