#include "svc/token_private.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/command.h"

/* Modules know one state of logging in for the whole process. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* ---- what went wrong ----------------------------------------------------------------------- */

#define AWAY "connect the token, or bring back the place it is kept in; what was begun is gone on with then"
#define BUSY "another program holds the token: end it, or let it log out, and run this again"
#define LOCKED "the token's security officer unlocks it, or sets a new PIN; nothing was tried, and no key is lost"
#define UNABLE "a root share needs AES-256 keys that never leave the token, and AES-GCM: this token or module has them not"
#define SHUT "let keys be made and destroyed on the token: it is write-protected, or the place it is kept in is"

static const struct {
	CK_RV rv;
	const char *name, *remedy;
} answers[] = {
	{ CKR_HOST_MEMORY, "CKR_HOST_MEMORY", AWAY },
	{ CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", AWAY },
	{ CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", AWAY },
	{ CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", AWAY },
	{ CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", AWAY },
	{ CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", AWAY },
	{ CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", AWAY },
	{ CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", AWAY },
	{ CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", AWAY },
	{ CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", AWAY },
	{ CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", AWAY },
	{ CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", AWAY },
	{ CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", AWAY },
	{ CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", AWAY },
	{ CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY",
		"the token is full: remove from it what nobody needs, nothing that is named expunge/, or use a larger one" },
	{ CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", SHUT },
	{ CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", SHUT },
	{ CKR_PIN_LOCKED, "CKR_PIN_LOCKED", LOCKED },
	{ CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", "set a new PIN on the token, and write it where this one is" },
	{ CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", "the token's security officer sets a PIN for its user" },
	{ CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", BUSY },
	{ CKR_USER_TOO_MANY_TYPES, "CKR_USER_TOO_MANY_TYPES", BUSY },
	{ CKR_SESSION_COUNT, "CKR_SESSION_COUNT", BUSY },
	{ CKR_SESSION_EXISTS, "CKR_SESSION_EXISTS", BUSY },
	{ CKR_SESSION_READ_WRITE_SO_EXISTS, "CKR_SESSION_READ_WRITE_SO_EXISTS", BUSY },
	{ CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", BUSY },
	{ CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", UNABLE },
	{ CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", UNABLE },
	{ CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", UNABLE },
	{ CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", UNABLE },
	{ CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", UNABLE },
	{ CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", UNABLE },
	{ CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", UNABLE },
	{ CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", UNABLE },
};

int
token_fail(const struct token *token, const char *what, CK_RV rv, struct err *err)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].rv == rv) {
			(void)err_set(err, ERR_FAILED, "%s: %s: %s", token->called, what, answers[i].name);
			return err_hint(err, "%s", answers[i].remedy);
		}
	(void)err_set(err, ERR_FAILED, "%s: %s: error 0x%lx", token->called, what, (unsigned long)rv);
	return err_hint(err, "see PKCS#11, and what the module's maker says of it; no key is lost");
}

/* ---- the module ---------------------------------------------------------------------------- */

int
token_prepare(const struct token_place *place, struct err *err)
{
	for (size_t i = 0; i < place->n_environment; i++) {
		const char *equals = strchr(place->environment[i], '=');
		CLEANUP(free_text) char *name = NULL;

		if (equals == NULL)
			return err_set(err, ERR_USAGE, "the environment of a token's module: no \"=\" in %s", place->environment[i]);
		name = mem_copy_n(place->environment[i], (size_t)(equals - place->environment[i]));
		if (setenv(name, equals + 1, 1) != 0)
			return err_sys(err, "setting %s for a token's module", name);
	}
	return 0;
}

/* Code that runs in this process: whoever may replace it decides everything. */
static int
load(struct token *token, const struct token_place *place, struct err *err)
{
	CK_C_GetFunctionList get;
	void *symbol;
	CK_RV rv;

	if (command_check_library(place->module, err) != 0)
		return err_prefix(err, "module of %s", token->called);
	/* it stays: modules leave behind what points into them */
	token->library = dlopen(place->module, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	symbol = token->library == NULL ? NULL : dlsym(token->library, "C_GetFunctionList");
	if (symbol == NULL) {
		const char *why = dlerror();

		(void)err_set(err, ERR_FAILED, "loading the module of %s: %s", token->called, why == NULL ? "it is none" : why);
		return err_hint(err, "name the PKCS#11 module (a .so file) of the token under keys.shares");
	}
	(void)memcpy(&get, &symbol, sizeof(get));
	rv = get(&token->p11);
	if (rv != CKR_OK)
		return token_fail(token, "loading its module", rv, err);
	rv = token->p11->C_Initialize(NULL);
	/* somebody else in this process uses it: then it is theirs to end */
	token->initialized = rv == CKR_OK;
	return rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? 0 : token_fail(token, "starting its module", rv, err);
}

/* Whether a field, padded with blanks and without NUL, says this. */
static bool
says(const unsigned char *field, size_t n, const char *text)
{
	size_t len = strlen(text);

	if (len > n || memcmp(field, text, len) != 0)
		return false;
	while (len < n && field[len] == ' ')
		len++;
	return len == n;
}

static bool
is_meant(const struct token_place *place, const CK_TOKEN_INFO *info)
{
	return (info->flags & CKF_TOKEN_INITIALIZED) != 0 &&
		(place->label != NULL ? says(info->label, sizeof(info->label), place->label)
				      : says(info->serialNumber, sizeof(info->serialNumber), place->serial));
}

static int
find_slot(const struct token *token, const struct token_place *place, CK_SLOT_ID *ret, CK_FLAGS *ret_flags, struct err *err)
{
	CLEANUP(free_text) char *memory = NULL;
	CK_SLOT_ID *slots;
	CK_ULONG n = 0;
	size_t found = 0;
	CK_RV rv = token->p11->C_GetSlotList(CK_TRUE, NULL, &n);

	if (rv != CKR_OK)
		return token_fail(token, "looking for it", rv, err);
	slots = mem_zero(n + 1, sizeof(*slots));
	memory = (char *)(void *)slots;
	rv = n == 0 ? CKR_OK : token->p11->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return token_fail(token, "looking for it", rv, err);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO info;

		/* a slot that says nothing is not the one, or is missed below */
		if (token->p11->C_GetTokenInfo(slots[i], &info) != CKR_OK || !is_meant(place, &info))
			continue;
		*ret = slots[i];
		*ret_flags = info.flags;
		found++;
	}
	if (found == 1)
		return 0;
	(void)err_set(err, ERR_FAILED, "%s: %s of this %s among %lu of the module %s", token->called, found == 0 ? "there is none" : "there are several",
		place->label != NULL ? "label" : "serial number", (unsigned long)n, place->module);
	return err_hint(err, "%s", found == 0 ? AWAY : "name under keys.shares the serial number of the one that is meant");
}

/* ---- the PIN ------------------------------------------------------------------------------- */

static int
log_in(struct token *token, CK_FLAGS flags, const struct secret *pin, bool *ret_refused, struct err *err)
{
	CK_RV rv;

	if ((flags & CKF_USER_PIN_LOCKED) != 0)
		return token_fail(token, "logging in", CKR_PIN_LOCKED, err);
	/* a token is never locked by an unattended program */
	if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) {
		(void)err_set(err, ERR_FAILED, "%s: logging in: a wrong PIN would lock it now, and none was tried", token->called);
		return err_hint(err, "make sure of the PIN, and log in once by hand with the token's own tool: that counts from the beginning again");
	}
	rv = token->p11->C_Login(token->session, CKU_USER, pin->bytes, pin->n);
	token->logged_in = rv == CKR_OK;
	if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN)
		return 0;
	if (rv != CKR_PIN_INCORRECT && rv != CKR_PIN_INVALID && rv != CKR_PIN_LEN_RANGE)
		return token_fail(token, "logging in", rv, err);
	*ret_refused = true;
	return err_set(err, ERR_FAILED, "%s: logging in: the PIN is wrong", token->called);
}

static int
start(struct token *token, const struct token_place *place, const struct secret *pin, bool write, bool *ret_refused,
	struct err *err)
{
	CK_FLAGS flags = 0;
	CK_SLOT_ID slot = 0;
	CK_RV rv;

	if (load(token, place, err) != 0 || find_slot(token, place, &slot, &flags, err) != 0)
		return -1;
	rv = token->p11->C_OpenSession(slot, CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0), NULL, NULL, &token->session);
	if (rv != CKR_OK)
		return token_fail(token, "opening a session", rv, err);
	token->in_session = true;
	return log_in(token, flags, pin, ret_refused, err);
}

int
token_open(struct token **ret, const struct token_place *place, const struct secret *pin, bool write, bool *ret_pin_refused,
	struct err *err)
{
	CLEANUP(token_closep) struct token *token = mem_zero(1, sizeof(*token));

	*ret_pin_refused = false;
	token->called = mem_printf("token %s", place->label != NULL ? place->label : place->serial);
	(void)pthread_mutex_lock(&one_at_a_time);
	token->locked = true;
	if (start(token, place, pin, write, ret_pin_refused, err) != 0)
		return -1;
	*ret = TAKE_PTR(token);
	return 0;
}

/* What cannot be ended has ended, or ends with the process. */
void
token_close(struct token *token)
{
	if (token == NULL)
		return;
	if (token->logged_in)
		(void)token->p11->C_Logout(token->session);
	if (token->in_session)
		(void)token->p11->C_CloseSession(token->session);
	if (token->initialized)
		(void)token->p11->C_Finalize(NULL);
	if (token->library != NULL)
		(void)dlclose(token->library);
	if (token->locked)
		(void)pthread_mutex_unlock(&one_at_a_time);
	free(token->called);
	free(token);
}

void
token_closep(struct token **token)
{
	token_close(*token);
	*token = NULL;
}
