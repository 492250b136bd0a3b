/* maxrss FILE COMMAND...: runs the command and writes its peak memory in KiB to FILE; exits as it does. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct rusage usage;
	int status = 0;
	FILE *out;
	pid_t pid;

	if (argc < 3 || (out = fopen(argv[1], "w")) == NULL)
		return 125;
	pid = fork();
	if (pid == 0) {
		(void)execvp(argv[2], argv + 2);
		_exit(126);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		return 125;
	(void)fprintf(out, "%ld\n", usage.ru_maxrss);
	return fclose(out) == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
