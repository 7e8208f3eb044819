// SPDX-License-Identifier: Apache-2.0
/* main.c - berth-relay: serves berthd's listeners without any privilege */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "common/code_pages.h"
#include "common/command_line.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/admission.h"
#include "relay/core/buffer.h"
#include "relay/core/checker.h"
#include "relay/confine.h"
#include "relay/core/relay.h"
#include "relay/protocols.h"

/* Standard streams, berthd's connection with its epoll and timer, signals, the
 * loop, the outbox, the journal, and a few that the C library opens now and
 * then; and what checks of backends take. */
#define FIXED_FDS (19 + CHECKER_RUNNING_MAX)
#define FIXED_FDS_PER_WORKER 3 /* epoll, eventfd, timerfd */

#define TRIM_BYTES (128 * 1024 * 1024) /* more than a heap of an arena has */

#define EXIT_USAGE 2
#define EXIT_DENIED 3 /* berthd does not take this relay */

/**
 * struct options - what the command line says
 * @takeover:	take the place of the relay that runs
 * @no_wait:	end if berthd is not there, or does not come back in time
 * @background:	return when the relay has its place, and go on as another
 *		process
 */
struct options {
	const char *socket_path;
	int socket_fd;
	bool takeover;
	bool no_wait;
	bool background;
	unsigned int n_workers;
	enum log_level log_level;
	enum log_format log_format;
};

static const char usage[] =
	"Usage: berth-relay (--socket PATH | --socket-fd N) [OPTION]...\n"
	"Serves the listeners that berthd hands over.\n"
	"\n"
	"  --socket PATH      connect to berthd's consumer socket\n"
	"  --socket-fd N      the connection is descriptor N\n"
	"  --takeover         take the place of the relay that runs\n"
	"  --no-wait          end when berthd is away, and does not come back\n"
	"  --background       return when berthd knows the relay\n"
	"  --workers N        threads (default: the CPUs it may use)\n"
	"  --log-level LEVEL  error, warning, info, debug (default: info)\n"
	"  --log-format FORM  auto, text, journal, json (default: auto)\n"
	"  --version          print the version\n"
	"  -h, --help         print this\n";

static unsigned int default_workers(void)
{
	cpu_set_t cpus;
	int n = 1;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		n = CPU_COUNT(&cpus);
	return n < RELAY_WORKERS_MAX ? (unsigned int)n : RELAY_WORKERS_MAX;
}

enum option_code {
	OPTION_SOCKET = 1,
	OPTION_SOCKET_FD,
	OPTION_TAKEOVER,
	OPTION_NO_WAIT,
	OPTION_BACKGROUND,
	OPTION_WORKERS,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "socket-fd", required_argument, NULL, OPTION_SOCKET_FD },
	{ "takeover", no_argument, NULL, OPTION_TAKEOVER },
	{ "no-wait", no_argument, NULL, OPTION_NO_WAIT },
	{ "background", no_argument, NULL, OPTION_BACKGROUND },
	{ "workers", required_argument, NULL, OPTION_WORKERS },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "log-format", required_argument, NULL, OPTION_LOG_FORMAT },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* Return: 0; -EINVAL after a message; 1: done, exit. */
static int option_set(struct options *options, int option, const char *value)
{
	unsigned long number;
	int r;

	switch (option) {
	case OPTION_SOCKET:
		options->socket_path = value;
		return 0;
	case OPTION_SOCKET_FD:
		r = command_line_number("berth-relay", "socket-fd", value, 0,
					INT_MAX, &number);
		if (r == 0)
			options->socket_fd = (int)number;
		return r;
	case OPTION_TAKEOVER:
		options->takeover = true;
		return 0;
	case OPTION_NO_WAIT:
		options->no_wait = true;
		return 0;
	case OPTION_BACKGROUND:
		options->background = true;
		return 0;
	case OPTION_WORKERS:
		r = command_line_number("berth-relay", "workers", value, 1,
					RELAY_WORKERS_MAX, &number);
		if (r == 0)
			options->n_workers = (unsigned int)number;
		return r;
	case OPTION_LOG_LEVEL:
		return command_line_log_level("berth-relay", value,
					      &options->log_level);
	case OPTION_LOG_FORMAT:
		return command_line_log_format("berth-relay", value,
					       &options->log_format);
	case OPTION_VERSION:
		puts("berth-relay " BERTH_VERSION);
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		fputs(usage, stderr);
		return -EINVAL;
	}
}

static int options_parse(int argc, char **argv, struct options *options)
{
	int option, r;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) !=
	       -1) {
		r = option_set(options, option, optarg);
		if (r != 0)
			return r;
	}
	if (optind < argc ||
	    (options->socket_path != NULL) == (options->socket_fd >= 0)) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

static int connect_berth(const struct options *options,
			 struct berth **ret_berth)
{
	const unsigned int flags = (options->takeover ? BERTH_TAKEOVER : 0) |
				   (options->no_wait ? 0 : BERTH_WAIT);
	int r = berth_connect(options->socket_path, "berth-relay", flags,
			      ret_berth);

	if (r < 0)
		log_error_errno(r, "cannot connect to '%s'",
				options->socket_path);
	return r;
}

/* Connects to berthd, or takes the connection that was inherited. */
static int open_berth(const struct options *options, struct berth **ret_berth)
{
	int type = 0, r;
	socklen_t len = sizeof(type);

	if (options->socket_path)
		return connect_berth(options, ret_berth);
	if (getsockopt(options->socket_fd, SOL_SOCKET, SO_TYPE, &type, &len) <
		    0 ||
	    fcntl(options->socket_fd, F_SETFD, FD_CLOEXEC) < 0)
		return log_error_errno(errno, "descriptor %d",
				       options->socket_fd);
	if (type != SOCK_SEQPACKET)
		return log_error_errno(EPROTOTYPE, "descriptor %d",
				       options->socket_fd);
	r = berth_new(options->socket_fd, "berth-relay", ret_berth);
	if (r < 0)
		log_error_errno(r, "cannot greet berthd");
	return r;
}

static void signal_handler(uint32_t events, void *user_data)
{
	(void)events;
	loop_quit(user_data, 0);
}

/* SIGTERM and SIGINT end the loop; threads inherit that they are blocked. */
static int open_signals(int *ret_fd)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* valid arguments */
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? -errno : 0;
}

/**
 * struct waiters - who wants to know that the relay has its place
 * @fd:		tells the process that started this one in the background, or -1
 * @systemd:	the relay becomes the main process of a service
 */
struct waiters {
	int fd;
	bool systemd;
};

static void welcomed(void *user_data)
{
	struct waiters *waiters = user_data;

	code_pages_release();
	if (waiters->systemd)
		(void)sd_notifyf(0, "MAINPID=%d\nREADY=1",
				 getpid()); /* nobody may be listening */
	waiters->systemd = false;
	if (waiters->fd < 0)
		return;
	/* If the parent does not hear this, it sees the end of the pipe. */
	(void)!write(waiters->fd, "", 1);
	(void)close(TAKE_FD(waiters->fd)); /* nothing is buffered */
}

static int serve(struct berth *berth, const struct options *options,
		 struct waiters *waiters)
{
	const struct relay_config config = {
		.protocols = relay_protocols,
		.n_workers = options->n_workers,
		.ends_without_berthd = options->no_wait,
		.welcomed = welcomed,
		.user_data = waiters,
	};
	_cleanup_close_ int signal_fd = -1;
	struct loop_source *signals = NULL;
	struct relay *relay = NULL;
	struct loop *loop = NULL;
	int r;

	r = loop_new(&loop);
	if (r == 0)
		r = open_signals(&signal_fd);
	if (r == 0)
		r = loop_add(loop, signal_fd, EPOLLIN, signal_handler, loop,
			     &signals);
	if (r == 0)
		r = relay_new(loop, berth, &config, &relay);
	if (r == 0)
		r = loop_run(loop);
	else
		log_error_errno(r, "cannot start");
	relay = relay_free(relay);
	signals = loop_source_free(signals);
	loop = loop_free(loop);
	return r;
}

/* Each thread has an arena of its own, without counting CPUs in /sys. The
 * largest buffers go back to the kernel at once; the rest of a peak stays,
 * because to trim an arena glibc looks into /proc, and no file can be opened
 * once the filter of system calls stands. */
static void tune_malloc(unsigned int n_workers)
{
	(void)mallopt(M_ARENA_MAX, (int)n_workers + 1);
	(void)mallopt(M_MMAP_THRESHOLD, BUFFER_MAX_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

/* The connection to berthd is the process's last descriptor to be closed, by
 * the kernel: berthd kills a relay that has none, and would see that in place
 * of the exit status. */
static int start(const struct options *options, struct waiters *waiters)
{
	static struct berth *berth;
	int r;

	r = admission_init(FIXED_FDS +
				   FIXED_FDS_PER_WORKER * options->n_workers,
			   options->n_workers);
	if (r < 0)
		return log_error_errno(r, "cannot read the limits");
	r = confine_privileges();
	if (r < 0)
		return r;
	r = open_berth(options, &berth);
	if (r < 0)
		return r;
	r = confine_syscalls();
	if (r == 0)
		r = serve(berth, options, waiters);
	return r;
}

/* Goes on as a child of its own, for --background. Return: in the child 0, and
 * *@ret_waiter_fd tells the parent; does not return in the parent, which exits
 * when the child has its place or has ended; a negative errno. */
static int go_to_background(int *ret_waiter_fd)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return log_error_errno(errno, "cannot start");
	pid = fork();
	if (pid < 0)
		return log_error_errno(errno, "cannot start");
	if (pid == 0) {
		(void)close(fds[0]); /* the parent's */
		*ret_waiter_fd = fds[1];
		return 0;
	}
	(void)close(fds[1]); /* the child's */
	if (read(fds[0], &byte, 1) == 1)
		exit(EXIT_SUCCESS);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		exit(WEXITSTATUS(status));
	exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	struct options options = { .socket_fd = -1,
				   .log_level = LOG_LEVEL_INFO };
	struct waiters waiters = { .fd = -1 };
	bool is_service;
	int r;

	options.n_workers = default_workers();
	log_init("berth-relay", options.log_level);
	r = options_parse(argc, argv, &options);
	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	log_set_level(options.log_level);
	log_set_format(options.log_format);
	(void)signal(SIGPIPE, SIG_IGN); /* valid arguments */
	if (options.background && go_to_background(&waiters.fd) < 0)
		return EXIT_FAILURE;
	/* A relay that berthd starts is no service, and has berthd's
	 * environment. */
	is_service = options.socket_path && !options.no_wait;
	waiters.systemd = is_service && options.background;
	if (is_service && !options.background)
		(void)sd_notify(0, "READY=1"); /* nobody may be listening */
	tune_malloc(options.n_workers);
	r = start(&options, &waiters);
	cleanup_close(&waiters.fd);
	if (r == -ECONNABORTED)
		return EXIT_DENIED;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
