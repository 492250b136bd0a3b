/*
 * fake pkcs11: a PKCS#11 module that hands every call on to a real one, and fails one of them.
 *
 * From the environment (a token's, in the configuration): FAKE_PKCS11_MODULE, the real module; FAKE_PKCS11_CALLS, a file that
 * gets the name of each call, a line each, over all processes; FAKE_PKCS11_FAULT, a file that says, when it is there:
 *
 *     WHEN NAME N CODE     before: the N-th call of NAME is not made, and answers CODE (0: "done", which is a lie)
 *                          after:  it is made, and answers CODE
 *                          kill:   the process ends instead of it; killed: when it was made
 *                          flags:  CODE is added to the flags of every token; NAME and N say nothing
 *                          N is 0: every call of it; NAME is *: whichever function
 *
 * N counts the lines of FAKE_PKCS11_CALLS, which a test empties when it begins to count.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;

struct fault {
	char when[16], name[64];
	long n;
	CK_RV code;
	bool here;
};

/* How many calls of `name` ("*": of any) are in the file, with the one that is added now. */
static long
count(const char *call, const char *name)
{
	const char *path = getenv("FAKE_PKCS11_CALLS");
	FILE *calls = path == NULL ? NULL : fopen(path, "a+e");
	char line[64];
	long n = 0;

	if (calls == NULL)
		return 0;
	(void)flock(fileno(calls), LOCK_EX);
	(void)fprintf(calls, "%s\n", call);
	(void)fflush(calls);
	rewind(calls);
	while (fgets(line, sizeof(line), calls) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		n += strcmp(name, "*") == 0 || strcmp(name, line) == 0;
	}
	(void)fclose(calls);
	return n;
}

static struct fault
read_fault(void)
{
	const char *path = getenv("FAKE_PKCS11_FAULT");
	FILE *file = path == NULL ? NULL : fopen(path, "re");
	struct fault fault = { .when = "", .name = "*" };
	char line[128] = "", code[32] = "";

	if (file == NULL)
		return fault;
	if (fgets(line, sizeof(line), file) == NULL || sscanf(line, "%15s %63s %ld %31s", fault.when, fault.name, &fault.n, code) != 4)
		fault.when[0] = '\0';
	fault.code = strtoul(code, NULL, 0);
	(void)fclose(file);
	return fault;
}

static struct fault
fault_of(const char *call)
{
	struct fault fault = read_fault();
	long n = count(call, fault.name);

	fault.here = fault.when[0] != '\0' && (strcmp(fault.name, "*") == 0 || strcmp(fault.name, call) == 0) &&
		(fault.n == 0 || fault.n == n);
	return fault;
}

static bool
is(const struct fault *fault, const char *when)
{
	return fault->here && strcmp(fault->when, when) == 0;
}

#define FORWARD(NAME, PARAMETERS, ARGUMENTS)            \
	static CK_RV fake_##NAME PARAMETERS             \
	{                                               \
		const struct fault fault = fault_of(#NAME); \
		CK_RV rv;                               \
                                                        \
		if (is(&fault, "before"))               \
			return fault.code;              \
		if (is(&fault, "kill"))                 \
			(void)raise(SIGKILL);           \
		rv = real->NAME ARGUMENTS;              \
		if (is(&fault, "killed"))               \
			(void)raise(SIGKILL);           \
		return is(&fault, "after") ? fault.code : rv; \
	}

FORWARD(C_Initialize, (void *a), (a))
FORWARD(C_Finalize, (void *a), (a))
FORWARD(C_GetSlotList, (CK_BBOOL a, CK_SLOT_ID *b, CK_ULONG *c), (a, b, c))
FORWARD(C_GetTokenInfo, (CK_SLOT_ID a, CK_TOKEN_INFO *b), (a, b))
FORWARD(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, void *c, CK_NOTIFY d, CK_SESSION_HANDLE *e), (a, b, c, d, e))
FORWARD(C_CloseSession, (CK_SESSION_HANDLE a), (a))
FORWARD(C_Login, (CK_SESSION_HANDLE a, CK_USER_TYPE b, unsigned char *c, CK_ULONG d), (a, b, c, d))
FORWARD(C_Logout, (CK_SESSION_HANDLE a), (a))
FORWARD(C_FindObjectsInit, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c), (a, b, c))
FORWARD(C_FindObjects, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE *b, CK_ULONG c, CK_ULONG *d), (a, b, c, d))
FORWARD(C_FindObjectsFinal, (CK_SESSION_HANDLE a), (a))
FORWARD(C_GetAttributeValue, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, CK_ULONG d), (a, b, c, d))
FORWARD(C_GenerateKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, CK_OBJECT_HANDLE *e), (a, b, c, d, e))
FORWARD(C_DestroyObject, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b), (a, b))
FORWARD(C_EncryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c))
FORWARD(C_Encrypt, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d, CK_ULONG *e), (a, b, c, d, e))
FORWARD(C_DecryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c))
FORWARD(C_Decrypt, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d, CK_ULONG *e), (a, b, c, d, e))

static CK_RV
fake_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	const struct fault fault = read_fault();
	CK_RV rv = fake_C_GetTokenInfo(slot, info);

	if (rv == CKR_OK && strcmp(fault.when, "flags") == 0)
		info->flags |= fault.code;
	return rv;
}

#define TAKE(NAME) list.NAME = fake_##NAME

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret);

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
	const char *path = getenv("FAKE_PKCS11_MODULE");
	void *module = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	void *symbol = module == NULL ? NULL : dlsym(module, "C_GetFunctionList");
	CK_C_GetFunctionList get;

	if (symbol == NULL)
		return CKR_GENERAL_ERROR;
	(void)memcpy(&get, &symbol, sizeof(get));
	if (get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	list = *real;
	TAKE(C_Initialize);
	TAKE(C_Finalize);
	TAKE(C_GetSlotList);
	list.C_GetTokenInfo = fake_token_info;
	TAKE(C_OpenSession);
	TAKE(C_CloseSession);
	TAKE(C_Login);
	TAKE(C_Logout);
	TAKE(C_FindObjectsInit);
	TAKE(C_FindObjects);
	TAKE(C_FindObjectsFinal);
	TAKE(C_GetAttributeValue);
	TAKE(C_GenerateKey);
	TAKE(C_DestroyObject);
	TAKE(C_EncryptInit);
	TAKE(C_Encrypt);
	TAKE(C_DecryptInit);
	TAKE(C_Decrypt);
	*ret = &list;
	return CKR_OK;
}
