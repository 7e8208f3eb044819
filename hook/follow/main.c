// SPDX-License-Identifier: Apache-2.0
/* main.c - berth-follow: tells berthd of the containers of Docker and podman */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "common/command_line.h"
#include "common/log.h"
#include "common/util.h"
#include "hook/follow/follower.h"

#define EXIT_USAGE 2

#define DEFAULT_DOCKER "/run/docker.sock"
#define DEFAULT_PODMAN "/run/podman/podman.sock"
#define DEFAULT_RUNTIME_DIR "/run/berth"
#define CONTROL_SOCKET "control.sock"

/* Seconds. */
#define DEFAULT_RESYNC 300
#define RESYNC_MAX 86400

/* With its NUL. */
#define SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

/** struct options - what the command line says */
struct options {
	const char *docker_path;
	const char *podman_path;
	const char *runtime_dir;
	unsigned long resync_s;
	enum log_level log_level;
};

static const char usage[] =
	"Usage: berth-follow [OPTION]...\n"
	"Tells berthd of the containers that Docker and podman run.\n"
	"\n"
	"  --docker SOCKET    follow Docker there (default " DEFAULT_DOCKER
	")\n"
	"  --podman SOCKET    follow podman there (default\n"
	"                     " DEFAULT_PODMAN "); with one of these two\n"
	"                     the other default does not count\n"
	"  --runtime-dir DIR  berthd's sockets (default " DEFAULT_RUNTIME_DIR
	")\n"
	"  --resync SECONDS   look at everything at least so often, because an "
	"engine\n"
	"                     may lose events (default 300)\n"
	"  --log-level LEVEL  error, warning, info, debug (default: info)\n"
	"  --version          print the version\n"
	"  -h, --help         print this\n";

enum option_code {
	OPTION_DOCKER = 1,
	OPTION_PODMAN,
	OPTION_RUNTIME_DIR,
	OPTION_RESYNC,
	OPTION_LOG_LEVEL,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "docker", required_argument, NULL, OPTION_DOCKER },
	{ "podman", required_argument, NULL, OPTION_PODMAN },
	{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
	{ "resync", required_argument, NULL, OPTION_RESYNC },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int path_set(const char **path, const char *option, const char *value,
		    size_t max)
{
	if (*value == '/' && strlen(value) < max) {
		*path = value;
		return 0;
	}
	fprintf(stderr,
		"berth-follow: --%s: '%s' is no absolute path of at most %zu "
		"characters\n",
		option, value, max - 1);
	return -EINVAL;
}

/* Return: 0; -EINVAL after a message; 1: done, exit. */
static int option_set(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_DOCKER:
		return path_set(&options->docker_path, "docker", value,
				SOCKET_PATH_BYTES);
	case OPTION_PODMAN:
		return path_set(&options->podman_path, "podman", value,
				SOCKET_PATH_BYTES);
	case OPTION_RUNTIME_DIR:
		return path_set(&options->runtime_dir, "runtime-dir", value,
				SOCKET_PATH_BYTES - sizeof(CONTROL_SOCKET));
	case OPTION_RESYNC:
		return command_line_number("berth-follow", "resync", value, 1,
					   RESYNC_MAX, &options->resync_s);
	case OPTION_LOG_LEVEL:
		return command_line_log_level("berth-follow", value,
					      &options->log_level);
	case OPTION_VERSION:
		puts("berth-follow " BERTH_VERSION);
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
	if (optind < argc) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	if (!options->docker_path && !options->podman_path) {
		options->docker_path = DEFAULT_DOCKER;
		options->podman_path = DEFAULT_PODMAN;
	}
	return 0;
}

static int serve(const struct options *options)
{
	char control[SOCKET_PATH_BYTES];
	const struct follower_config config = {
		.docker_path = options->docker_path,
		.podman_path = options->podman_path,
		.berthd_path = control,
		.resync_us = options->resync_s * USEC_PER_SEC,
	};
	struct follower *follower = NULL;
	int r;

	(void)snprintf(control, sizeof(control), "%s/" CONTROL_SOCKET,
		       options->runtime_dir);
	r = follower_new(&config, &follower);
	if (r < 0)
		return log_error_errno(r, "cannot start");
	/* It waits for the others, nobody for it; nobody may be listening. */
	(void)sd_notify(0, "READY=1");
	r = follower_run(follower);
	if (r < 0)
		log_error_errno(r, "cannot go on");
	follower_free(follower);
	return r;
}

int main(int argc, char **argv)
{
	struct options options = {
		.runtime_dir = DEFAULT_RUNTIME_DIR,
		.resync_s = DEFAULT_RESYNC,
		.log_level = LOG_LEVEL_INFO,
	};
	int r = options_parse(argc, argv, &options);

	if (r != 0)
		return r > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	log_init("berth-follow", options.log_level);
	return serve(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
