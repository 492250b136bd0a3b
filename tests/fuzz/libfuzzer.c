/* One target as libFuzzer calls it; FUZZ_TARGET is its function. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 forgets the text it had read so far when it meets a syntax error inside a string. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\n";
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	return FUZZ_TARGET(data, n);
}
