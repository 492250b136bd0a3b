/* The search for personal data: the first line is a subject's value, the rest the text to be signed. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "evidence/lint.h"
#include "fuzz.h"

int
fuzz_lint(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *input = fuzz_text(data, n);
	char *rest = input;
	const char *value = fuzz_piece(&rest, '\n');
	const char *text = rest == NULL ? "" : rest;
	size_t plain = strspn(value, "abcdefghijklmnopqrstuvwxyz");
	struct err err = { 0 };

	if (lint_text(text, &value, 1, &err) != 0)
		REQUIRE(err.msg[0] != '\0' && err.code == ERR_REFUSED);
	/* a word is found wherever it stands as one, in any case */
	if (plain >= 4 && value[plain] == '\0') {
		CLEANUP(free_text) char *planted = mem_printf("%s\n, %c%s;", text, value[0] - 'a' + 'A', value + 1);

		REQUIRE(lint_text(planted, &value, 1, &err) != 0 || strncmp(planted, "expunge-certificate/v1\n", 23) == 0);
	}
	return 0;
}
