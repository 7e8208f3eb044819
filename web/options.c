// SPDX-License-Identifier: Apache-2.0
/* options.c - berth-web's command line */
#include "web/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/command_line.h"
#include "common/util.h"
#include "web/host.h"

/* Not in 9100 to 9999, where each port is some exporter's of Prometheus, nor
 * among those that the kernel gives to clients. */
#define DEFAULT_LISTEN "127.0.0.1:10390"
#define DEFAULT_RUNTIME_DIR "/run/berth"
#define CONTROL_SOCKET "control.sock"

/* Seconds. */
#define DEFAULT_TIMEOUT 15
#define TIMEOUT_MAX 3600

static const char usage[] =
	"Usage: berth-web [OPTION]...\n"
	"Shows what berthd does: a status page, metrics, and JSON.\n"
	"\n"
	"  --listen ADDRESS:PORT|unix:PATH\n"
	"                     where (default " DEFAULT_LISTEN "), unless the\n"
	"                     service manager listens\n"
	"  --host NAME        answer when called so, too (may be repeated); "
	"by\n"
	"                     itself only as localhost or by an IP address\n"
	"  --runtime-dir DIR  berthd's sockets (default " DEFAULT_RUNTIME_DIR
	")\n"
	"  --timeout SECONDS  how long a request may take to arrive; twice "
	"that "
	"for\n"
	"                     reading the answer (default 15)\n"
	"  --log-level LEVEL  error, warning, info, debug (default: info)\n"
	"  --version          print the version\n"
	"  --help             print this\n";

enum option_code {
	OPTION_LISTEN = 1,
	OPTION_HOST,
	OPTION_RUNTIME_DIR,
	OPTION_TIMEOUT,
	OPTION_LOG_LEVEL,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "host", required_argument, NULL, OPTION_HOST },
	{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ 0 },
};

static int listen_set(struct options *options, const char *value)
{
	if (listen_address_parse(value, &options->listen) < 0) {
		fprintf(stderr,
			"berth-web: --listen: '%s' is none of ADDRESS:PORT, "
			"[ADDRESS]:PORT and unix:PATH\n",
			value);
		return -EINVAL;
	}
	options->listen_text = value;
	return 0;
}

static int host_add(struct options *options, const char *value)
{
	if (!host_name_valid(value)) {
		fprintf(stderr,
			"berth-web: --host: '%s' is no name of a host\n",
			value);
		return -EINVAL;
	}
	if (options->n_hosts == OPTIONS_HOSTS_MAX) {
		fprintf(stderr, "berth-web: --host: at most %d names\n",
			OPTIONS_HOSTS_MAX);
		return -EINVAL;
	}
	options->hosts[options->n_hosts++] = value;
	return 0;
}

static int runtime_dir_set(struct options *options, const char *value)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) -
			   sizeof("/" CONTROL_SOCKET);

	if (*value != '/' || strlen(value) > max) {
		fprintf(stderr,
			"berth-web: --runtime-dir: '%s' is no absolute path of "
			"at most %zu characters\n",
			value, max);
		return -EINVAL;
	}
	options->runtime_dir = value;
	return 0;
}

static int option_set(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_LISTEN:
		return listen_set(options, value);
	case OPTION_HOST:
		return host_add(options, value);
	case OPTION_RUNTIME_DIR:
		return runtime_dir_set(options, value);
	case OPTION_TIMEOUT:
		return command_line_number("berth-web", "timeout", value, 1,
					   TIMEOUT_MAX, &options->timeout_s);
	case OPTION_LOG_LEVEL:
		return command_line_log_level("berth-web", value,
					      &options->log_level);
	case OPTION_VERSION:
		puts("berth-web " BERTH_VERSION);
		return 1;
	case OPTION_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		fputs(usage, stderr);
		return -EINVAL;
	}
}

int web_options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = {
		.runtime_dir = DEFAULT_RUNTIME_DIR,
		.timeout_s = DEFAULT_TIMEOUT,
		.log_level = LOG_LEVEL_INFO,
	};
	int option, r = listen_set(&options, DEFAULT_LISTEN);

	while (r == 0 &&
	       (option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		r = option_set(&options, option, optarg);
	if (r == 0 && optind < argc) {
		fputs(usage, stderr);
		r = -EINVAL;
	}
	if (r == 0)
		*ret_options = options;
	return r;
}

int web_options_control(const struct options *options, char *path,
			size_t path_bytes)
{
	int n = snprintf(path, path_bytes, "%s/" CONTROL_SOCKET,
			 options->runtime_dir);

	return n >= 0 && (size_t)n < path_bytes ? 0 : -ENAMETOOLONG;
}
