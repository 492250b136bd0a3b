#include "keys/signer_file.h"

#include "base/cleanup.h"
#include "sys/file.h"

#define PEM_MAX 16384

int
signer_file_create(const char *path, const char *what, struct err *err)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(secret_erase) struct secret pem = SECRET_INIT;

	if (file_exists(path)) {
		(void)err_set(err, ERR_REFUSED, "make %s %s: the file exists", what, path);
		return err_hint(err, "a key is never replaced in place; keep it, or move it away by hand first");
	}
	if (crypt_signer_generate(&signer, err) != 0 || crypt_signer_to_pem(signer, &pem, err) != 0 ||
	    file_write(path, pem.bytes, pem.n, 0600, true, err) != 0)
		return err_prefix(err, "make %s", what);
	return 0;
}

int
signer_file_open(struct signer **ret, const char *path, const char *what, struct err *err)
{
	CLEANUP(secret_erase) struct secret pem = SECRET_INIT;

	if (!file_exists(path)) {
		(void)err_set(err, ERR_FAILED, "open %s %s: no such file", what, path);
		return err_hint(err, "restore it from its backup; `expunge init` makes one only where there never was one");
	}
	if (file_read_secret(path, PEM_MAX, &pem, err) != 0) {
		(void)err_prefix(err, "open %s", what);
		return err_hint(err, "it must be a regular file of the user that runs expunge, mode 0600: chmod 600 %s", path);
	}
	if (crypt_signer_from_pem(ret, (const char *)pem.bytes, pem.n, err) != 0) {
		(void)err_prefix(err, "open %s %s", what, path);
		return err_hint(err, "restore it from its backup");
	}
	return 0;
}
