#include "svc/compress.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/mem.h"

struct compressor {
	ZSTD_CCtx *in;
	ZSTD_DCtx *out;
};

/* Each half is made when it is first needed: who reads needs none of the memory that writing takes. */
struct compressor *
compressor_new(void)
{
	return mem_zero(1, sizeof(struct compressor));
}

void
compressor_free(struct compressor *compressor)
{
	if (compressor == NULL)
		return;
	(void)ZSTD_freeCCtx(compressor->in);
	(void)ZSTD_freeDCtx(compressor->out);
	free(compressor);
}

size_t
compress_bound(size_t n)
{
	return ZSTD_compressBound(n);
}

int
compress_block(struct compressor *compressor, int level, const void *bytes, size_t n, uint8_t *ret, size_t max,
	size_t *ret_n, struct err *err)
{
	size_t got;

	if (compressor->in == NULL)
		compressor->in = ZSTD_createCCtx();
	if (compressor->in == NULL)                                                /* GCOVR_EXCL_BR_LINE: memory ran out */
		return err_set(err, ERR_FAILED, "compressing: no memory for it"); /* LCOV_EXCL_LINE: memory ran out */
	got = ZSTD_compressCCtx(compressor->in, ret, max, bytes, n, level);
	if (ZSTD_isError(got))
		return err_set(err, ERR_FAILED, "compressing %zu bytes: %s", n, ZSTD_getErrorName(got));
	*ret_n = got;
	return 0;
}

int
decompress_block(struct compressor *compressor, const uint8_t *bytes, size_t n, void *ret, size_t max, size_t *ret_n,
	struct err *err)
{
	unsigned long long stated = ZSTD_getFrameContentSize(bytes, n);
	size_t got;

	if (compressor->out == NULL)
		compressor->out = ZSTD_createDCtx();
	if (compressor->out == NULL)                                                 /* GCOVR_EXCL_BR_LINE: memory ran out */
		return err_set(err, ERR_FAILED, "decompressing: no memory for it"); /* LCOV_EXCL_LINE: memory ran out */
	/* a frame of today's format, not one to skip nor one of old; what is none at all answers with huge numbers */
	if (n == 0 || bytes[0] != (ZSTD_MAGICNUMBER & 0xff) || stated > max || ZSTD_findFrameCompressedSize(bytes, n) != n)
		return err_set(err, ERR_FAILED, "decompressing %zu bytes: not one block of at most %zu bytes", n, max);
	got = ZSTD_decompressDCtx(compressor->out, ret, max, bytes, n);
	if (ZSTD_isError(got) || got != stated)
		return err_set(err, ERR_FAILED, "decompressing %zu bytes: %s", n,
			ZSTD_isError(got) ? ZSTD_getErrorName(got) : "less than stated");
	*ret_n = got;
	return 0;
}
