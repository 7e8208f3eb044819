// SPDX-License-Identifier: Apache-2.0
/* options.c - berthd's command line */
#include "daemon/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/command_line.h"
#include "common/util.h"
#include "daemon/config_internal.h"

#define DEFAULT_CONFIG_PATH "/etc/berth/berthd.yaml"

/* What getopt_long(3) returns: one of these, or OPTION_SETTING and above for
 * the settings of config_fields[]. */
enum option_id {
	OPTION_CONFIG = 1,
	OPTION_CHECK,
	OPTION_LIVE,
	OPTION_VERSION,
	OPTION_SETTING,
};

static const struct option own_options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "live", no_argument, NULL, OPTION_LIVE },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
};

static const char help_text[] =
	"Usage: berthd [OPTION...]\n"
	"       berthd --check [--live] [FILE|DIR...]\n"
	"\n"
	"Gives every network namespace the listeners that the rules ask for.\n"
	"\n"
	"  --config FILE        settings, over which this command line wins\n"
	"                       (default /etc/berth/berthd.yaml, if that "
	"exists)\n"
	"  --netns-dir DIR      watch the names in DIR; repeatable, replaces\n"
	"                       /run/netns and /run/docker/netns\n"
	"  --rules DIR          read rules from DIR/*.yaml; repeatable, "
	"earlier\n"
	"                       ones override later ones; replaces\n"
	"                       /etc/berth/rules.d, /run/berth/rules.d and\n"
	"                       /usr/lib/berth/rules.d\n"
	"  --runtime-dir DIR    berthd's sockets (default /run/berth)\n"
	"  --relay own|unit     who starts berth-relay: berthd (default), or "
	"the\n"
	"                       service manager, as a unit of its own\n"
	"  --relay-user USER    berth-relay runs as USER (default berth-relay\n"
	"                       if that user exists, else nobody)\n"
	"  --workers N          berth-relay's worker threads (default: the "
	"CPUs\n"
	"                       it may use)\n"
	"  --log-level LEVEL    error, warning, info or debug (default info)\n"
	"  --log-format FORM    auto, text, journal or json (default auto: "
	"journal\n"
	"                       if that reads stderr, else text)\n"
	"  --check              only read the configuration and the rules, "
	"print\n"
	"                       problems, and exit with 0 or 1\n"
	"  --live               with --check: also print what the running "
	"berthd\n"
	"                       would open and close with these rules\n"
	"  --max-listeners N    open listeners in all (default: as many as "
	"the\n"
	"                       limit of descriptors allows)\n"
	"  --max-listeners-per-netns N\n"
	"                       of one namespace (default 1024)\n"
	"  --max-addresses N    looked at per namespace (default 4096)\n"
	"  --netlink-buffer BYTES\n"
	"                       of the event socket (default 4 MiB)\n"
	"  --report-dir DIR     where metrics are reported to systemd "
	"(default: "
	"nowhere)\n"
	"  --relay-program FILE berth-relay to start (default: the one beside\n"
	"                       berthd, then the installed one)\n"
	"  --version, -h, --help\n";

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

/* The member of the setting that an option sets; config_fields[] says of what
 * type it is. */
static void *target(struct options *options, const struct config_field *field)
{
	return (char *)&options->given + field->offset;
}

static int number_option(struct options *options,
			 const struct config_field *field, const char *text)
{
	unsigned long number;
	int r;

	r = command_line_number("berthd", field->option, text, field->min,
				field->max, &number);
	if (r == 0)
		*(uint64_t *)target(options, field) = number;
	return r;
}

static int text_option(struct options *options,
		       const struct config_field *field, const char *text)
{
	char **value = target(options, field);

	free(*value);
	*value = strdup(text);
	return *value ? 0 : -ENOMEM;
}

static int relay_option(struct options *options,
			const struct config_field *field, const char *text)
{
	if (config_relay_parse(text, target(options, field)) == 0)
		return 0;
	fprintf(stderr, "berthd: --%s: '%s': expected own or unit\n",
		field->option, text);
	return -EINVAL;
}

static int dir_option(struct config_dirs *dirs, const char *name,
		      const char *path)
{
	_cleanup_free_ char *absolute = NULL;
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
	absolute = path_absolute(path);
	return absolute ? config_dirs_add(dirs, absolute) : -ENOMEM;
}

static int config_option(struct options *options, const char *path)
{
	free(options->config_path);
	options->config_path = path_absolute(path);
	options->config_named = true;
	return options->config_path ? 0 : -ENOMEM;
}

static int setting_option(struct options *options, enum config_setting setting,
			  const char *text)
{
	const struct config_field *field = &config_fields[setting];

	options->given.given |= UINT32_C(1) << setting;
	switch (field->kind) {
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_BYTES:
		return number_option(options, field, text);
	case CONFIG_KIND_LEVEL:
		return command_line_log_level("berthd", text,
					      target(options, field));
	case CONFIG_KIND_FORMAT:
		return command_line_log_format("berthd", text,
					       target(options, field));
	case CONFIG_KIND_RELAY:
		return relay_option(options, field, text);
	case CONFIG_KIND_USER:
	case CONFIG_KIND_PATH:
		return text_option(options, field, text);
	case CONFIG_KIND_DIRS:
		return dir_option(target(options, field), field->option, text);
	case CONFIG_KIND_DURATION:
	case CONFIG_KIND_CONSUMERS:
	case CONFIG_KIND_CONTROL:
		break; /* only in the file */
	}
	return -EINVAL;
}

static int option_apply(struct options *options, int option, const char *text)
{
	switch (option) {
	case OPTION_CONFIG:
		return config_option(options, text);
	case OPTION_CHECK:
		options->check = true;
		return 0;
	case OPTION_LIVE:
		options->live = true;
		return 0;
	case OPTION_VERSION:
		puts("berthd " BERTH_VERSION);
		return 1;
	case 'h':
		fputs(help_text, stdout);
		return 1;
	case '?': /* getopt_long(3) has said what is wrong. */
		return -EINVAL;
	default:
		return setting_option(
			options, (enum config_setting)(option - OPTION_SETTING),
			text);
	}
}

/* @list: of ARRAY_SIZE(own_options) + CONFIG_SETTINGS + 1, zeroed */
static void list_options(struct option *list)
{
	memcpy(list, own_options, sizeof(own_options));
	list += ARRAY_SIZE(own_options);
	for (unsigned int i = 0; i < CONFIG_SETTINGS; i++) {
		if (config_fields[i].option)
			*list++ = (struct option){
				.name = config_fields[i].option,
				.has_arg = required_argument,
				.val = (int)(OPTION_SETTING + i),
			};
	}
}

/* Return: as options_parse(). */
static int read_arguments(int argc, char **argv, struct options *options)
{
	struct option list[ARRAY_SIZE(own_options) + CONFIG_SETTINGS + 1] = {
		0
	};
	int option, r = 0;

	list_options(list);
	while (r == 0 &&
	       (option = getopt_long(argc, argv, "h", list, NULL)) != -1)
		r = option_apply(options, option, optarg);
	if (r == 0 && options->live && !options->check) {
		fputs("berthd: --live is an option of --check\n", stderr);
		r = -EINVAL;
	}
	if (r == 0 && optind < argc && !options->check) {
		fprintf(stderr,
			"berthd: '%s': no argument is expected here (files "
			"and directories go with --check)\n",
			argv[optind]);
		r = -EINVAL;
	}
	return r;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .config_path = strdup(DEFAULT_CONFIG_PATH) };
	int r = -ENOMEM;

	if (options.config_path)
		r = read_arguments(argc, argv, &options);
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

void options_done(struct options *options)
{
	config_done(&options->given);
	free(TAKE_PTR(options->config_path));
}
