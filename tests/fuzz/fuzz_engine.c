/* fuzz_engine.c - any bytes as a capture through the whole program: reader, decoder, model,
 * detectors, every output. What must hold for any input is checked in tests/lib/whole_run.h. */
#include "tests/fuzz/fuzz.h"
#include "tests/lib/whole_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct whole_run run = {.capture = bytes_of(data, size)};
    whole_run(&run);
    return 0;
}
