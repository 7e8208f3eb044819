// SPDX-License-Identifier: Apache-2.0
/* launch.c - starts a program and says how long it took until READY=1
 *
 * launch NOTIFY_SOCKET PROGRAM ARGUMENT... prints "exec NS ready NS pid PID",
 * both by the monotonic clock, when the program said READY=1 on the socket, see
 * sd_notify(3). Then it waits for its own standard input to end, ends the
 * program with SIGINT (after three seconds with SIGKILL), and prints its wait
 * status. Nothing stays behind when the driver dies: that ends the input, too.
 */
#include "tests/bench/bench.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <sys/wait.h>

#define READY_TIMEOUT_MS 30000
#define CHECK_MS 100 /* does the program still live? */
#define END_TIMEOUT_MS 3000

static int notify_open(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		bench_die("%s", path);
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		bench_die("%s", path);
	/* Nobody here keeps descriptors. */
	if (setenv("NOTIFY_SOCKET", path, 1) < 0 ||
	    setenv("FDSTORE", "0", 1) < 0)
		bench_die("setenv");
	return fd;
}

static void wait_ready(int fd, pid_t pid)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char text[4096];
	ssize_t n;
	int ms = 0;

	while (ms < READY_TIMEOUT_MS) {
		if (poll(&poll_fd, 1, CHECK_MS) < 1) {
			ms += CHECK_MS;
			if (waitpid(pid, NULL, WNOHANG) == pid)
				bench_die("the program ended");
			continue;
		}
		n = recv(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			bench_die("notify socket");
		text[n] = '\0';
		if (strstr(text, "READY=1"))
			return;
	}
	kill(pid, SIGKILL);
	bench_die("READY=1 did not come");
}

static int end(pid_t pid)
{
	int status = 0;

	kill(pid, SIGINT);
	for (int ms = 0; ms < END_TIMEOUT_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	uint64_t *exec_ns = mmap(NULL, sizeof(*exec_ns), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char byte;
	int fd;
	pid_t pid;

	bench_init();
	if (argc < 3 || exec_ns == MAP_FAILED)
		bench_die("launch NOTIFY_SOCKET PROGRAM ARGUMENT...");
	fd = notify_open(argv[1]);
	pid = fork();
	if (pid == 0) {
		*exec_ns = bench_now_ns();
		execv(argv[2], argv + 2);
		bench_die("%s", argv[2]);
	}
	wait_ready(fd, pid);
	printf("exec %llu ready %llu pid %d\n", (unsigned long long)*exec_ns,
	       (unsigned long long)bench_now_ns(), pid);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	printf("status %d\n", end(pid));
	return 0;
}
