/* Preloaded into a mail server that insists on a user of its own: whoever starts it is that user. */
#include <dlfcn.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define USER "Debian-exim"

struct passwd *
getpwnam(const char *name)
{
	struct passwd *(*real)(const char *) = (struct passwd * (*)(const char *)) dlsym(RTLD_NEXT, "getpwnam");

	return strcmp(name, USER) == 0 ? getpwuid(geteuid()) : real(name);
}

struct group *
getgrnam(const char *name)
{
	struct group *(*real)(const char *) = (struct group * (*)(const char *)) dlsym(RTLD_NEXT, "getgrnam");

	return strcmp(name, USER) == 0 ? getgrgid(getegid()) : real(name);
}
