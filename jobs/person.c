#include "jobs/person.h"

#include <string.h>

#include "query.h"
#include "sys/log.h"

static void
record_denied(struct job *job, const char *request, const char *code)
{
	struct err unused = { 0 };

	if (db_query(job->db, &QUERY_DENIED_RECORD, DB_PARAMS(job->command->name, request, code), NULL, &unused) != 0)
		log_warning("the refusal could not be recorded: %s", unused.msg);
}

int
person_asks(struct job *job, const struct query *query, const char *const *params, const char *request,
	struct db_result **ret, struct err *err)
{
	if (db_begin(job->db, err) != 0)
		return -1;
	if (db_query(job->db, query, params, ret, err) == 0 && db_commit(job->db, err) == 0)
		return 0;
	db_rollback(job->db);
	if (strncmp(err->sqlstate, "EX", 2) == 0 || strcmp(err->sqlstate, "42501") == 0)
		record_denied(job, request, err->sqlstate);
	if (strcmp(err->sqlstate, "42501") == 0)
		(void)err_hint(err, "the login needs one of the expunge_ roles; the manual says which (\"Roles\")");
	return -1;
}
