// SPDX-License-Identifier: Apache-2.0
/* options.c - berthd's command line */
#include "daemon/options.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/command_line.h"
#include "common/util.h"

#define DEFAULT_RUNTIME_DIR "/run/berth"
#define DEFAULT_MAX_PER_NETNS 1024
#define DEFAULT_MAX_ADDRESSES 4096

enum option_id {
	OPTION_NETNS_DIR = 1,
	OPTION_RULES,
	OPTION_RUNTIME_DIR,
	OPTION_RELAY_USER,
	OPTION_RELAY_PROGRAM,
	OPTION_WORKERS,
	OPTION_MAX_LISTENERS,
	OPTION_MAX_LISTENERS_PER_NETNS,
	OPTION_MAX_ADDRESSES,
	OPTION_NETLINK_BUFFER,
	OPTION_LOG_LEVEL,
	OPTION_CHECK,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "netns-dir", required_argument, NULL, OPTION_NETNS_DIR },
	{ "rules", required_argument, NULL, OPTION_RULES },
	{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
	{ "relay-user", required_argument, NULL, OPTION_RELAY_USER },
	{ "relay-program", required_argument, NULL, OPTION_RELAY_PROGRAM },
	{ "workers", required_argument, NULL, OPTION_WORKERS },
	{ "max-listeners", required_argument, NULL, OPTION_MAX_LISTENERS },
	{ "max-listeners-per-netns", required_argument, NULL,
	  OPTION_MAX_LISTENERS_PER_NETNS },
	{ "max-addresses", required_argument, NULL, OPTION_MAX_ADDRESSES },
	{ "netlink-buffer", required_argument, NULL, OPTION_NETLINK_BUFFER },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ 0 },
};

static const char help_text[] =
	"Usage: berthd [OPTION...]\n"
	"       berthd --check [FILE|DIR...]\n"
	"\n"
	"Gives every network namespace the listeners that the rules ask for.\n"
	"\n"
	"  --netns-dir DIR      watch the names in DIR; repeatable, replaces\n"
	"                       /run/netns and /run/docker/netns\n"
	"  --rules DIR          read rules from DIR/*.yaml; repeatable, "
	"earlier\n"
	"                       ones override later ones; replaces\n"
	"                       /etc/berth/rules.d, /run/berth/rules.d and\n"
	"                       /usr/lib/berth/rules.d\n"
	"  --runtime-dir DIR    berthd's sockets (default /run/berth)\n"
	"  --relay-user USER    berth-relay runs as USER (default berth-relay\n"
	"                       if that user exists, else nobody)\n"
	"  --workers N          berth-relay's worker threads (default: the "
	"CPUs\n"
	"                       it may use)\n"
	"  --log-level LEVEL    error, warning, info or debug (default info)\n"
	"  --check              only read the rules, print problems, and exit\n"
	"                       with 0 or 1\n"
	"  --max-listeners N    open listeners in all (default: as many as "
	"the\n"
	"                       limit of descriptors allows)\n"
	"  --max-listeners-per-netns N\n"
	"                       of one namespace (default 1024)\n"
	"  --max-addresses N    looked at per namespace (default 4096)\n"
	"  --netlink-buffer BYTES\n"
	"                       of the event socket (default 4 MiB)\n"
	"  --relay-program FILE berth-relay to start (default: the one beside\n"
	"                       berthd, then the installed one)\n"
	"  --version, --help\n";

/* An absolute path without slashes at the end, so that it can be compared. One
 * that is given relative to here loses its "." and ".."; an absolute one stays
 * as it was written, because rules compare with it. */
static char *path_absolute(const char *path)
{
	_cleanup_free_ char *cwd = NULL;
	char *absolute = NULL;
	size_t len;

	if (path[0] == '/') {
		absolute = strdup(path);
	} else if (!(absolute = realpath(path, NULL))) {
		cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&absolute, "%s/%s", cwd, path) < 0)
			return NULL;
	}
	len = absolute ? strlen(absolute) : 0;
	while (len > 1 && absolute[len - 1] == '/')
		absolute[--len] = '\0';
	return absolute;
}

static int list_append(char ***list, size_t *n, const char *path)
{
	char **grown = realloc(*list, (*n + 1) * sizeof(**list));

	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[*n] = path_absolute(path);
	if (!grown[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

static int number_option(struct options *options, enum option_id option,
			 const char *name, const char *text)
{
	unsigned long number;
	int r;

	r = command_line_number("berthd", name, text, 1,
				option == OPTION_WORKERS ? RELAY_WORKERS_MAX
							 : INT_MAX,
				&number);
	if (r < 0)
		return r;
	if (option == OPTION_WORKERS)
		options->workers = (unsigned int)number;
	else if (option == OPTION_MAX_LISTENERS)
		options->max_listeners = number;
	else if (option == OPTION_MAX_LISTENERS_PER_NETNS)
		options->max_per_netns = number;
	else if (option == OPTION_MAX_ADDRESSES)
		options->max_addresses = number;
	else
		options->netlink_buffer_bytes = number;
	return 0;
}

static int dir_option(char ***list, size_t *n, const char *name,
		      const char *path)
{
	struct stat st;

	if (!*path) {
		fprintf(stderr, "berthd: --%s: expected a directory\n", name);
		return -EINVAL;
	}
	/* A directory may be missing, and is awaited: that is said, because it
	 * may also be a slip. */
	if (stat(path, &st) < 0)
		fprintf(stderr, "berthd: --%s: '%s': %s; waiting for it\n",
			name, path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		fprintf(stderr,
			"berthd: --%s: '%s' is not a directory; waiting for "
			"one\n",
			name, path);
	return list_append(list, n, path);
}

static int option_apply(struct options *options, enum option_id option,
			const char *name, const char *text)
{
	switch (option) {
	case OPTION_NETNS_DIR:
		return dir_option(&options->netns_dirs, &options->n_netns_dirs,
				  name, text);
	case OPTION_RULES:
		return dir_option(&options->rules_dirs, &options->n_rules_dirs,
				  name, text);
	case OPTION_RUNTIME_DIR:
		options->runtime_dir = text;
		return 0;
	case OPTION_RELAY_USER:
		options->relay_user = text;
		return 0;
	case OPTION_RELAY_PROGRAM:
		options->relay_program = text;
		return 0;
	case OPTION_WORKERS:
	case OPTION_MAX_LISTENERS:
	case OPTION_MAX_LISTENERS_PER_NETNS:
	case OPTION_MAX_ADDRESSES:
	case OPTION_NETLINK_BUFFER:
		return number_option(options, option, name, text);
	case OPTION_LOG_LEVEL:
		return command_line_log_level("berthd", text,
					      &options->log_level);
	case OPTION_CHECK:
		options->check = true;
		return 0;
	case OPTION_VERSION:
		puts("berthd " BERTH_VERSION);
		return 1;
	case OPTION_HELP:
		fputs(help_text, stdout);
		return 1;
	}
	return -EINVAL;
}

/* What was not given gets its default. */
static int options_complete(struct options *options)
{
	static const char *const netns_dirs[] = { "/run/netns",
						  "/run/docker/netns" };
	static const char *const rules_dirs[] = { "/etc/berth/rules.d",
						  "/run/berth/rules.d",
						  "/usr/lib/berth/rules.d" };
	int r = 0;

	if (!options->n_netns_dirs) {
		for (size_t i = 0; i < ARRAY_SIZE(netns_dirs) && r == 0; i++)
			r = list_append(&options->netns_dirs,
					&options->n_netns_dirs, netns_dirs[i]);
	}
	if (!options->n_rules_dirs) {
		for (size_t i = 0; i < ARRAY_SIZE(rules_dirs) && r == 0; i++)
			r = list_append(&options->rules_dirs,
					&options->n_rules_dirs, rules_dirs[i]);
	}
	return r;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = {
		.runtime_dir = DEFAULT_RUNTIME_DIR,
		.max_per_netns = DEFAULT_MAX_PER_NETNS,
		.max_addresses = DEFAULT_MAX_ADDRESSES,
		.log_level = LOG_LEVEL_INFO,
	};
	int option, index = 0, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "", long_options,
					       &index)) != -1) {
		/* getopt_long(3) has said what is wrong. */
		r = option == '?'
			    ? -EINVAL
			    : option_apply(&options, (enum option_id)option,
					   long_options[index].name, optarg);
	}
	if (r == 0 && optind < argc && !options.check) {
		fprintf(stderr,
			"berthd: '%s': no argument is expected here (files "
			"and directories go with --check)\n",
			argv[optind]);
		r = -EINVAL;
	}
	if (r == 0)
		r = options_complete(&options);
	if (r != 0) {
		if (r == -EINVAL)
			fputs("Try 'berthd --help'.\n", stderr);
		options_done(&options);
		return r;
	}
	options.check_paths = (const char *const *)argv + optind;
	options.n_check_paths = (size_t)(argc - optind);
	*ret_options = options;
	return 0;
}

static void list_done(char ***list, size_t *n)
{
	while (*n > 0)
		free((*list)[--*n]);
	free(*list);
	*list = NULL;
}

void options_done(struct options *options)
{
	list_done(&options->netns_dirs, &options->n_netns_dirs);
	list_done(&options->rules_dirs, &options->n_rules_dirs);
}
