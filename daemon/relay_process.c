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

/* In the directory of sockets, which is the relay's working directory. */
#define RELAY_SOCKET "./relay.sock"
#define STDERR_LAST 2
#define RESTART_MIN_US (100 * USEC_PER_MSEC)
#define RESTART_MAX_US (5 * USEC_PER_SEC)
#define STABLE_US (10 * USEC_PER_SEC) /* lived this long: not a crash loop */
#define END_TIMEOUT_MS 500
#define END_SLICE_MS 50

/**
 * struct relay_process - see relay_process.h
 * @program_fd:	what is started after a crash
 * @pids:	@n_pids processes that run; the last one is the relay, unless
 *		@running is unset
 * @started_us:	when the last one was started
 */
struct relay_process {
	struct relay_process_config config;
	struct loop_timer *timer;
	int program_fd;
	pid_t pids[RELAY_PROCESSES_MAX];
	size_t n_pids;
	bool running;
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

static int open_relay_program(const struct relay_process_config *config)
{
	return config->program ? open_program(config->program)
			       : open_default_program();
}

/* In the child: only calls that are safe after fork(2) in one thread. */
__attribute__((noreturn)) static void
relay_exec(const struct relay_process *relay)
{
	char workers[16];
	char *argv[] = { (char *)"berth-relay",
			 (char *)"--socket",
			 (char *)RELAY_SOCKET,
			 (char *)"--no-wait",
			 (char *)"--takeover",
			 (char *)"--log-level",
			 (char *)log_level_name(relay->config.log_level),
			 (char *)(relay->config.workers ? "--workers" : NULL),
			 workers,
			 NULL };
	sigset_t none;
	int r;

	(void)snprintf(workers, sizeof(workers), "%u",
		       relay->config.workers); /* fits: ten digits */
	(void)sigemptyset(&none); /* cannot fail */
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(127);
	/* Whoever started berthd may have left descriptors open, and berthd's
	 * privileges do not go to the relay in this shape either. Before Linux
	 * 5.11 only berthd's own are closed, by their flag. */
	(void)close_range(STDERR_LAST + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	/* While there are privileges: its user need not be able to walk there.
	 */
	if (chdir(relay->config.socket_dir) < 0) {
		log_error_errno(errno, "cannot enter '%s' for berth-relay",
				relay->config.socket_dir);
		_exit(127);
	}
	r = privileges_become(&relay->config.user);
	if (r < 0) {
		log_error_errno(r, "cannot give up privileges for berth-relay");
		_exit(127);
	}
	/* By descriptor: the user need not be able to walk to the file. */
	(void)fexecve(relay->program_fd, argv, environ);
	log_error_errno(errno, "cannot execute berth-relay");
	_exit(127);
}

/* Return: 0 or -errno of fork(2). */
static int relay_start(struct relay_process *relay)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		relay_exec(relay);
	relay->pids[relay->n_pids++] = pid;
	relay->running = true;
	relay->started_us = monotonic_us();
	log_debug("started berth-relay, pid %d", pid);
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
	int r;

	/* One of those that end has to be waited for. */
	r = relay->n_pids < RELAY_PROCESSES_MAX ? relay_start(relay) : -EBUSY;
	if (r < 0) {
		log_error_errno(r, "cannot start berth-relay; trying again");
		relay_start_later(relay);
	}
}

int relay_process_new(struct loop *loop,
		      const struct relay_process_config *config,
		      struct relay_process **ret_relay)
{
	struct relay_process *relay = malloc(sizeof(*relay));
	int r;

	if (!relay)
		return -ENOMEM;
	*relay = (struct relay_process){
		.config = *config,
		.program_fd = -1,
	};
	relay->program_fd = open_relay_program(config);
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

int relay_process_restart(struct relay_process *relay)
{
	_cleanup_close_ int old_fd = -1;
	int fd, r;

	if (relay->n_pids == RELAY_PROCESSES_MAX)
		return -EBUSY;
	fd = open_relay_program(&relay->config);
	if (fd < 0)
		return fd;
	old_fd = relay->program_fd;
	relay->program_fd = fd;
	r = relay_start(relay);
	if (r < 0) {
		relay->program_fd = TAKE_FD(old_fd);
		(void)close(fd); /* read only */
		return r;
	}
	loop_timer_unset(relay->timer);
	return 0;
}

static const char *end_fmt(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "was ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(text, size, "exited with status %d",
			       WEXITSTATUS(status));
	return text;
}

static void relay_ended(struct relay_process *relay, pid_t pid, int status)
{
	char how[128];

	if (monotonic_us() - relay->started_us >= STABLE_US)
		relay->backoff_us = 0;
	log_warning("berth-relay (pid %d) %s; starting it again in %u ms", pid,
		    end_fmt(status, how, sizeof(how)),
		    (unsigned int)(relay->backoff_us / USEC_PER_MSEC));
	relay->running = false;
	relay_start_later(relay);
}

/* One that another took over from. */
static void earlier_ended(pid_t pid, int status)
{
	char how[128];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		log_debug("berth-relay (pid %d) let its clients finish", pid);
	else
		log_warning("berth-relay (pid %d), which another one has taken "
			    "over from, %s",
			    pid, end_fmt(status, how, sizeof(how)));
}

static void forget_pid(struct relay_process *relay, size_t i)
{
	relay->n_pids--;
	memmove(&relay->pids[i], &relay->pids[i + 1],
		(relay->n_pids - i) * sizeof(relay->pids[0]));
}

void relay_process_set(struct relay_process *relay, unsigned int workers,
		       enum log_level log_level)
{
	relay->config.workers = workers;
	relay->config.log_level = log_level;
}

void relay_process_reap(struct relay_process *relay)
{
	bool is_relay;
	int status;
	pid_t pid;

	for (size_t i = relay->n_pids; i-- > 0;) {
		pid = relay->pids[i];
		if (waitpid(pid, &status, WNOHANG) != pid)
			continue;
		is_relay = relay->running && i + 1 == relay->n_pids;
		forget_pid(relay, i);
		if (is_relay)
			relay_ended(relay, pid, status);
		else
			earlier_ended(pid, status);
	}
}

void relay_process_kill(struct relay_process *relay, pid_t pid)
{
	for (size_t i = 0; i < relay->n_pids; i++) {
		if (relay->pids[i] == pid)
			(void)kill(pid, SIGKILL); /* gone already: reaped */
	}
}

static void kill_all(struct relay_process *relay, int number)
{
	for (size_t i = 0; i < relay->n_pids; i++)
		(void)kill(relay->pids[i], number); /* it may be gone already */
}

/* Waits for the end of the children, at most @timeout_ms; SIGCHLD is blocked
 * for the signalfd. Return: did all end? */
static bool wait_all(struct relay_process *relay, int timeout_ms)
{
	const struct timespec slice = { .tv_nsec = END_SLICE_MS * 1000 * 1000 };
	sigset_t child;

	(void)sigemptyset(&child); /* cannot fail */
	(void)sigaddset(&child, SIGCHLD); /* cannot fail */
	for (int waited_ms = 0;; waited_ms += END_SLICE_MS) {
		for (size_t i = relay->n_pids; i-- > 0;) {
			if (waitpid(relay->pids[i], NULL, WNOHANG) != 0)
				forget_pid(relay, i);
		}
		if (relay->n_pids == 0 || waited_ms >= timeout_ms)
			return relay->n_pids == 0;
		(void)sigtimedwait(&child, NULL, &slice); /* or the timeout */
	}
}

struct relay_process *relay_process_free(struct relay_process *relay)
{
	if (!relay)
		return NULL;
	kill_all(relay, SIGTERM);
	if (!wait_all(relay, END_TIMEOUT_MS)) {
		log_warning("berth-relay does not end; killing it");
		kill_all(relay, SIGKILL);
		(void)wait_all(relay, INT_MAX);
	}
	loop_timer_free(relay->timer);
	if (relay->program_fd >= 0)
		(void)close(relay->program_fd); /* read only */
	free(relay);
	return NULL;
}
