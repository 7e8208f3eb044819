// SPDX-License-Identifier: Apache-2.0
/* relay_process.c - starts berth-relay, restarts it, ends it */
#include "daemon/relay_process.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/util.h"

#define RELAY_SOCKET_FD 3
#define RESTART_MIN_US (100 * USEC_PER_MSEC)
#define RESTART_MAX_US (5 * USEC_PER_SEC)
#define STABLE_US (10 * USEC_PER_SEC) /* lived this long: not a crash loop */
#define END_TIMEOUT_MS 500

struct relay_process {
	struct relay_process_config config;
	struct relay_process_ops ops;
	void *user_data;
	struct loop_timer *timer;
	int program_fd;
	pid_t pid; /* 0: not running */
	uint64_t started_us;
	uint64_t backoff_us;
};

/* A file that cannot be a program would only fail in each child. */
static int open_program(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) ||
	    !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return -EACCES;
	return TAKE_FD(fd);
}

/* The file beside our own, as in a build directory; else where it is
 * installed. */
static int open_default_program(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	char *slash;
	int fd;

	if (n > 0 && (size_t)n < sizeof(path)) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash && (size_t)(slash - path) + sizeof("/berth-relay") <=
				     sizeof(path)) {
			memcpy(slash, "/berth-relay", sizeof("/berth-relay"));
			fd = open_program(path);
			if (fd >= 0)
				return fd;
		}
	}
	return open_program(BERTH_LIBEXECDIR "/berth-relay");
}

/* In the child: only calls that are safe after fork(2) in one thread. */
__attribute__((noreturn)) static void
relay_exec(const struct relay_process *relay, int socket_fd)
{
	char workers[16];
	char *argv[] = { (char *)"berth-relay",
			 (char *)"--socket-fd",
			 (char *)"3",
			 (char *)"--log-level",
			 (char *)log_level_name(relay->config.log_level),
			 (char *)(relay->config.workers ? "--workers" : NULL),
			 workers,
			 NULL };
	int program_fd = relay->program_fd;
	sigset_t none;
	int r;

	(void)snprintf(workers, sizeof(workers), "%u",
		       relay->config.workers); /* fits: ten digits */
	(void)sigemptyset(&none); /* cannot fail */
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(127);
	/* The program's descriptor must not be where the socket goes. */
	if (program_fd == RELAY_SOCKET_FD)
		program_fd = fcntl(program_fd, F_DUPFD_CLOEXEC, 10);
	if (program_fd < 0 || (socket_fd == RELAY_SOCKET_FD
				       ? fcntl(socket_fd, F_SETFD, 0)
				       : dup2(socket_fd, RELAY_SOCKET_FD)) < 0)
		_exit(127);
	/* Whoever started berthd may have left descriptors open, and berthd's
	 * privileges do not go to the relay in this shape either. Before Linux
	 * 5.11 only berthd's own are closed, by their flag. */
	(void)close_range(RELAY_SOCKET_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	r = privileges_become(&relay->config.user);
	if (r < 0) {
		log_error_errno(r, "cannot give up privileges for berth-relay");
		_exit(127);
	}
	/* By descriptor: the user need not be able to walk to the file. */
	(void)fexecve(program_fd, argv, environ);
	log_error_errno(errno, "cannot execute berth-relay");
	_exit(127);
}

static int relay_start(struct relay_process *relay)
{
	_cleanup_close_ int own_fd = -1;
	_cleanup_close_ int child_fd = -1;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	own_fd = fds[0];
	child_fd = fds[1];
	if (fcntl(own_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		relay_exec(relay, child_fd);
	relay->pid = pid;
	relay->started_us = monotonic_us();
	log_debug("started berth-relay, pid %d", pid);
	relay->ops.started(TAKE_FD(own_fd), pid, relay->user_data);
	return 0;
}

static void relay_start_later(struct relay_process *relay)
{
	uint64_t now_us = monotonic_us();

	loop_timer_set(relay->timer, now_us + relay->backoff_us);
	relay->backoff_us = relay->backoff_us ? relay->backoff_us * 2
					      : RESTART_MIN_US;
	if (relay->backoff_us > RESTART_MAX_US)
		relay->backoff_us = RESTART_MAX_US;
}

static void relay_start_handler(void *user_data)
{
	struct relay_process *relay = user_data;
	int r = relay_start(relay);

	if (r < 0) {
		log_error_errno(r, "cannot start berth-relay; trying again");
		relay_start_later(relay);
	}
}

int relay_process_new(struct loop *loop,
		      const struct relay_process_config *config,
		      const struct relay_process_ops *ops, void *user_data,
		      struct relay_process **ret_relay)
{
	struct relay_process *relay = malloc(sizeof(*relay));
	int r;

	if (!relay)
		return -ENOMEM;
	*relay = (struct relay_process){
		.config = *config,
		.ops = *ops,
		.user_data = user_data,
		.program_fd = -1,
	};
	relay->program_fd = config->program ? open_program(config->program)
					    : open_default_program();
	r = relay->program_fd;
	if (r >= 0)
		r = loop_timer_new(loop, relay_start_handler, relay,
				   &relay->timer);
	if (r < 0) {
		relay_process_free(relay);
		return r;
	}
	relay_start_handler(relay);
	*ret_relay = relay;
	return 0;
}

static void relay_log_end(const struct relay_process *relay, int status)
{
	unsigned int later_ms =
		(unsigned int)(relay->backoff_us / USEC_PER_MSEC);

	if (WIFSIGNALED(status))
		log_warning("berth-relay (pid %d) was ended by signal %d (%s); "
			    "starting it again in %u ms",
			    relay->pid, WTERMSIG(status),
			    strsignal(WTERMSIG(status)), later_ms);
	else
		log_warning("berth-relay (pid %d) exited with status %d; "
			    "starting it again in %u ms",
			    relay->pid, WEXITSTATUS(status), later_ms);
}

void relay_process_set(struct relay_process *relay, unsigned int workers,
		       enum log_level log_level)
{
	relay->config.workers = workers;
	relay->config.log_level = log_level;
}

void relay_process_reap(struct relay_process *relay)
{
	int status;

	if (!relay->pid || waitpid(relay->pid, &status, WNOHANG) != relay->pid)
		return;
	if (monotonic_us() - relay->started_us >= STABLE_US)
		relay->backoff_us = 0;
	relay_log_end(relay, status);
	relay->pid = 0;
	relay_start_later(relay);
}

void relay_process_kill(struct relay_process *relay, pid_t pid)
{
	if (relay->pid && relay->pid == pid)
		(void)kill(relay->pid, SIGKILL); /* gone already: reaped */
}

/* Waits for the end of the child; SIGCHLD is blocked for the signalfd. */
static bool relay_wait(pid_t pid)
{
	const struct timespec slice = { .tv_nsec = 50 * 1000 * 1000 };
	sigset_t child;

	(void)sigemptyset(&child); /* cannot fail */
	(void)sigaddset(&child, SIGCHLD); /* cannot fail */
	for (int waited_ms = 0; waited_ms < END_TIMEOUT_MS; waited_ms += 50) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		(void)sigtimedwait(&child, NULL, &slice); /* or the timeout */
	}
	return waitpid(pid, NULL, WNOHANG) == pid;
}

struct relay_process *relay_process_free(struct relay_process *relay)
{
	if (!relay)
		return NULL;
	if (relay->pid) {
		(void)kill(relay->pid, SIGTERM); /* it may be gone already */
		if (!relay_wait(relay->pid)) {
			log_warning("berth-relay does not end; killing it");
			(void)kill(relay->pid, SIGKILL);
			(void)waitpid(relay->pid, NULL, 0);
		}
	}
	loop_timer_free(relay->timer);
	if (relay->program_fd >= 0)
		(void)close(relay->program_fd); /* read only */
	free(relay);
	return NULL;
}
