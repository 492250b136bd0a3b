/* The certificate's text, and what is made of one that was taken: JSON, CSV, a file name. */
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "evidence/certificate.h"
#include "evidence/export_format.h"
#include "evidence/lint.h"
#include "fuzz.h"

static void
export(const struct certificate *c, const char *text, size_t n)
{
	CLEANUP(free_text) char *bytes = NULL;
	size_t size = 0;
	struct err err = { 0 };
	FILE *out = open_memstream(&bytes, &size);

	REQUIRE(out != NULL && export_json(out, c, text, &err) == 0);
	(void)fflush(out);
	REQUIRE(size > 0 && bytes[0] == '{' && parse_is_utf8(bytes, size));
	rewind(out);
	REQUIRE(export_csv(out, c, text, n, &err) == 0);
	(void)fclose(out);
	REQUIRE(size > 2 && bytes[size - 1] == '\n' && bytes[size - 2] == '\r');
}

int
fuzz_certificate(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(str_release) struct str again = STR_INIT;
	char name[CERTIFICATE_FILE_NAME_SIZE];
	struct err err = { 0 };

	if (certificate_parse(text, n, &c, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && c.id == NULL && c.n_live == 0);
		return 0;
	}
	REQUIRE(certificate_check(&c, &err) == 0);
	REQUIRE(certificate_encode(&c, &again, &err) == 0);
	REQUIRE(again.len == n && memcmp(again.s, text, n) == 0);
	certificate_file_name(c.serial, c.id, name);
	REQUIRE(strchr(name, '/') == NULL && strlen(name) < sizeof(name));
	(void)lint_text(text, (const char *const[]){ "practice", NULL, "a" }, 3, &err);
	export(&c, text, n);
	return 0;
}
