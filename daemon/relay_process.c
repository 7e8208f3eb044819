// SPDX-License-Identifier: Apache-2.0
/* relay_process.c - starts berth-relay, restarts it, ends it
 *
 * Theory of operation: each process is held by a pidfd, whether berthd started
 * it or an earlier berthd did: so its end is heard in one way, and a signal
 * never reaches another process that got its number. Which ones there are
 * stands in a file, for the next berthd, which takes them over instead of
 * starting another one.
 *
 * A relay that an earlier berthd left connects again by itself. One that does
 * not hangs, and nobody else can have its listeners: it is killed.
 */
#include "daemon/relay_process.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/service.h"
#include "common/util.h"
#include "daemon/consumers/known.h"

/* In the directory of sockets, which is the relay's working directory. */
#define RELAY_SOCKET "./relay.sock"
#define STDERR_LAST 2
#define RESTART_MIN_US (100 * USEC_PER_MSEC)
#define RESTART_MAX_US USEC_PER_SEC
#define STABLE_US (10 * USEC_PER_SEC) /* lived this long: not a crash loop */

/* From fork(2) to the new program it is a millisecond. */
#define EXEC_MS 1000

/* A relay tries to connect a hundred times in a second at first. */
#define HELLO_US (5 * USEC_PER_SEC)

/**
 * struct process - one that runs
 * @pid_fd:	readable when it has ended
 * @child:	berthd started it; else an earlier berthd did
 * @deadline_us: when it is killed if it has no connection; 0: never
 */
struct process {
	struct relay_process *all;
	struct loop_source *source;
	pid_t pid;
	int pid_fd;
	uint64_t started;
	bool child;
	uint64_t deadline_us;
};

/**
 * struct relay_process - see relay_process.h
 * @timer:	for the next start
 * @hello_timer: for the deadlines of processes
 * @program_fd:	what is started after a crash
 * @list:	@n processes that run; the last one is the relay, unless
 *		@running is unset
 * @had_one:	there has been one
 * @ending:	none is started any more
 * @restarts:	how many were started when there had been one
 * @started_us:	when the last one was started
 */
struct relay_process {
	struct relay_process_config config;
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_timer *hello_timer;
	int program_fd;
	struct process *list[RELAY_PROCESSES_MAX];
	size_t n;
	bool running;
	bool had_one;
	bool ending;
	unsigned long restarts;
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
			 (char *)"--log-format",
			 (char *)log_format_name(relay->config.log_format),
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

/* Writes down which ones run. */
static void remember(const struct relay_process *relay)
{
	struct known_consumer list[RELAY_PROCESSES_MAX] = { 0 };
	size_t n = 0;
	int r;

	for (size_t i = 0; i < relay->n; i++) {
		if (!relay->list[i]->started)
			continue; /* the next berthd could not tell it */
		list[n].pid = relay->list[i]->pid;
		list[n].started = relay->list[i]->started;
		(void)snprintf(list[n].name, sizeof(list[n].name), "%s",
			       SERVICE_RELAY); /* fits */
		n++;
	}
	r = known_save(relay->config.known_path, list, n);
	if (r < 0)
		log_warning_errno(r,
				  "cannot write '%s'; a berthd that is started "
				  "anew would not know berth-relay",
				  relay->config.known_path);
}

static void process_free(struct process *process)
{
	loop_source_free(process->source);
	if (process->pid_fd >= 0)
		(void)close(process->pid_fd); /* holds no data */
	free(process);
}

static void process_kill(const struct process *process, int number)
{
	/* It may be gone already. */
	(void)syscall(SYS_pidfd_send_signal, process->pid_fd, number, NULL, 0);
}

static void process_ended(uint32_t events, void *user_data);

/* Puts a process into the list, as the relay. Return: 0; -errno of
 * pidfd_open(2); -ESRCH: it is another one by now; -ENOMEM. */
static int process_add(struct relay_process *relay, pid_t pid, bool child,
		       uint64_t started)
{
	struct process *process = calloc(1, sizeof(*process));
	int r = 0;

	if (!process)
		return -ENOMEM;
	process->all = relay;
	process->pid = pid;
	process->child = child;
	process->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process->pid_fd < 0)
		r = -errno;
	/* Looked at behind the descriptor, which would be of another process if
	 * this one had ended before. */
	process->started = known_started(pid);
	if (r == 0 && started && process->started != started)
		r = -ESRCH;
	if (r == 0)
		r = loop_add(relay->loop, process->pid_fd, EPOLLIN,
			     process_ended, process, &process->source);
	if (r < 0) {
		process_free(process);
		return r;
	}
	relay->list[relay->n++] = process;
	relay->running = true;
	relay->had_one = true;
	relay->started_us = monotonic_us();
	return 0;
}

/* As fork(2), but returns in the parent only when the child has executed
 * another program, or ended. Until then the child has copies of all
 * descriptors, also of listeners that are closed meanwhile because their
 * namespace goes. (Not vfork(2) or clone(2): libcap-ng has to be told of a
 * fork.) */
static pid_t fork_until_exec(void)
{
	struct pollfd executed = { .events = POLLIN };
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		return 0; /* exec closes both ends */
	cleanup_close(&fds[1]); /* the child's */
	executed.fd = fds[0];
	if (pid > 0)
		(void)poll(&executed, 1, EXEC_MS); /* or it is late */
	cleanup_close(&fds[0]);
	return pid;
}

/* Return: 0; -errno of fork(2), or as process_add(). */
static int relay_start(struct relay_process *relay)
{
	pid_t pid = fork_until_exec();
	bool first = !relay->had_one;
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		relay_exec(relay);
	r = process_add(relay, pid, /* child= */ true, /* started= */ 0);
	if (r < 0) {
		/* It is not waited for yet, so the number is its own. */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	relay->restarts += !first;
	remember(relay);
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

	if (relay->ending)
		return;
	/* One of those that end has to be waited for. */
	r = relay->n < RELAY_PROCESSES_MAX ? relay_start(relay) : -EBUSY;
	if (r < 0) {
		log_error_errno(r, "cannot start berth-relay; trying again");
		relay_start_later(relay);
	}
}

/* How a child ended. */
static const char *end_fmt(const struct process *process, char *text,
			   size_t size)
{
	int status;

	if (!process->child || waitpid(process->pid, &status, WNOHANG) < 1)
		(void)snprintf(text, size, "ended");
	else if (WIFSIGNALED(status))
		(void)snprintf(text, size, "was ended by signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(text, size, "exited with status %d",
			       WEXITSTATUS(status));
	return text;
}

static void relay_ended(struct relay_process *relay, pid_t pid, const char *how)
{
	relay->running = false;
	if (relay->ending)
		return;
	if (monotonic_us() - relay->started_us >= STABLE_US)
		relay->backoff_us = 0;
	log_warning("berth-relay (pid %d) %s; starting it again in %u ms", pid,
		    how, (unsigned int)(relay->backoff_us / USEC_PER_MSEC));
	relay_start_later(relay);
}

/* One that another took over from. */
static void earlier_ended(const struct relay_process *relay, pid_t pid,
			  const char *how)
{
	if (relay->ending || strcmp(how, "exited with status 0") == 0 ||
	    strcmp(how, "ended") == 0)
		log_debug("berth-relay (pid %d) let its clients finish", pid);
	else
		log_warning("berth-relay (pid %d), which another one has taken "
			    "over from, %s",
			    pid, how);
}

static void process_ended(uint32_t events, void *user_data)
{
	struct process *process = user_data;
	struct relay_process *relay = process->all;
	bool is_relay = relay->running && relay->list[relay->n - 1] == process;
	size_t i = 0;
	char how[128];

	(void)events;
	(void)end_fmt(process, how, sizeof(how));
	while (relay->list[i] != process)
		i++;
	relay->n--;
	memmove(&relay->list[i], &relay->list[i + 1],
		(relay->n - i) * sizeof(relay->list[0]));
	remember(relay);
	if (is_relay)
		relay_ended(relay, process->pid, how);
	else
		earlier_ended(relay, process->pid, how);
	process_free(process);
}

/* Kills those that have no connection and had the time to make one. */
static void hello_handler(void *user_data)
{
	struct relay_process *relay = user_data;
	uint64_t now_us = monotonic_us();

	for (size_t i = 0; i < relay->n; i++) {
		struct process *process = relay->list[i];

		if (!process->deadline_us)
			continue;
		if (process->deadline_us > now_us) {
			loop_timer_set_earlier(relay->hello_timer,
					       process->deadline_us);
			continue;
		}
		process->deadline_us = 0;
		if (relay->config.connected(process->pid,
					    relay->config.user_data))
			continue;
		log_warning("berth-relay (pid %d), which an earlier berthd "
			    "started, does not connect; killing it",
			    process->pid);
		process_kill(process, SIGKILL);
	}
}

/* Takes over what an earlier berthd started. The last one was its relay; the
 * others only drain: they connect again to be told which namespaces go. */
static void adopt_all(struct relay_process *relay)
{
	_cleanup_free_ struct known_consumer *known =
		calloc(KNOWN_MAX, sizeof(*known));
	int n = known ? known_load(relay->config.known_path, known) : -ENOMEM;
	uint64_t now_us = monotonic_us();

	if (n < 0)
		log_warning_errno(n,
				  "cannot read '%s'; a berth-relay of an "
				  "earlier berthd is not taken over",
				  relay->config.known_path);
	for (int i = 0; i < n && relay->n < RELAY_PROCESSES_MAX; i++) {
		if (process_add(relay, known[i].pid, /* child= */ false,
				known[i].started) < 0)
			continue; /* it has ended meanwhile */
		log_info("berth-relay of an earlier berthd goes on, pid %d",
			 known[i].pid);
	}
	for (size_t i = 0; i < relay->n; i++) {
		relay->list[i]->deadline_us = now_us + HELLO_US;
		if (i + 1 < relay->n)
			relay->list[i]->deadline_us += relay->config.orphan_us;
		loop_timer_set_earlier(relay->hello_timer,
				       relay->list[i]->deadline_us);
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
		.loop = loop,
		.program_fd = -1,
	};
	relay->program_fd = open_relay_program(config);
	r = relay->program_fd;
	if (r >= 0)
		r = loop_timer_new(loop, relay_start_handler, relay,
				   &relay->timer);
	if (r == 0)
		r = loop_timer_new(loop, hello_handler, relay,
				   &relay->hello_timer);
	if (r < 0) {
		relay_process_free(relay);
		return r;
	}
	adopt_all(relay);
	if (!relay->running)
		relay_start_handler(relay);
	*ret_relay = relay;
	return 0;
}

int relay_process_restart(struct relay_process *relay)
{
	_cleanup_close_ int old_fd = -1;
	int fd, r;

	if (relay->n == RELAY_PROCESSES_MAX || relay->ending)
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

void relay_process_set(struct relay_process *relay, unsigned int workers,
		       enum log_level log_level, enum log_format log_format)
{
	relay->config.workers = workers;
	relay->config.log_level = log_level;
	relay->config.log_format = log_format;
}

static struct process *find(const struct relay_process *relay, pid_t pid)
{
	for (size_t i = 0; i < relay->n; i++) {
		if (relay->list[i]->pid == pid)
			return relay->list[i];
	}
	return NULL;
}

unsigned long relay_process_restarts(const struct relay_process *relay)
{
	return relay->restarts;
}

bool relay_process_has(const struct relay_process *relay, pid_t pid)
{
	const struct process *process = find(relay, pid);

	/* It may have ended, and the number be another one's by now. */
	return process &&
	       syscall(SYS_pidfd_send_signal, process->pid_fd, 0, NULL, 0) == 0;
}

void relay_process_kill(struct relay_process *relay, pid_t pid)
{
	const struct process *process = find(relay, pid);

	if (process)
		process_kill(process, SIGKILL);
}

void relay_process_end(struct relay_process *relay, int number)
{
	relay->ending = true;
	for (size_t i = 0; i < relay->n; i++)
		process_kill(relay->list[i], number);
}

void relay_process_undo(struct relay_process *relay)
{
	relay->ending = true;
	for (size_t i = 0; i < relay->n; i++) {
		if (relay->list[i]->child)
			process_kill(relay->list[i], SIGKILL);
	}
}

size_t relay_process_count(const struct relay_process *relay)
{
	return relay->n;
}

struct relay_process *relay_process_free(struct relay_process *relay)
{
	if (!relay)
		return NULL;
	while (relay->n > 0)
		process_free(relay->list[--relay->n]);
	loop_timer_free(relay->timer);
	loop_timer_free(relay->hello_timer);
	if (relay->program_fd >= 0)
		(void)close(relay->program_fd); /* read only */
	free(relay);
	return NULL;
}
