// SPDX-License-Identifier: Apache-2.0
/* settings.c - what can be set: as options of an OCI hook, or as keys of a CNI
 * configuration */
#include "hook/settings.h"

#include <getopt.h>
#include <string.h>

#include "common/util.h"
#include "hook/complain.h"

#define RUNTIME_DIR "/run/berth"

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.runtime_dir = RUNTIME_DIR,
		.timeout_ms = SETTINGS_TIMEOUT_MS,
	};
}

static void add_prefix(struct prefixes *prefixes, const char *text)
{
	const char **list =
		reallocarray(prefixes->list, prefixes->n + 1, sizeof(*list));

	if (!list)
		return;
	list[prefixes->n++] = text;
	prefixes->list = list;
}

static void set_timeout(struct settings *settings, const char *text)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number < 1 ||
	    number > SETTINGS_TIMEOUT_MS_MAX)
		complain("--timeout-ms: '%s' is not a number from 1 to %u; it "
			 "stays %u",
			 text, SETTINGS_TIMEOUT_MS_MAX, settings->timeout_ms);
	else
		settings->timeout_ms = (unsigned int)number;
}

void settings_usage(FILE *out)
{
	(void)fprintf(
		out,
		"Usage: berth-hook [OPTION...]\n\n"
		"Tells berthd of containers, before they start and when they "
		"end: an OCI hook,\nthat runtimes give a container's state on "
		"standard input, and a CNI plugin,\nif CNI_COMMAND is set.\n\n"
		"Options:\n"
		"  --runtime-dir DIR        where berthd has its sockets "
		"(default " RUNTIME_DIR ")\n"
		"  --timeout-ms N           how long a container may wait for "
		"it (default %u)\n"
		"  --annotation-prefix TEXT annotations that begin so become "
		"labels\n"
		"  --version                print the version\n"
		"  -h, --help               print this\n\n"
		"Exit status: 0, whatever happens, so that every container "
		"starts; 1 for a CNI\ncall that has no answer.\n",
		SETTINGS_TIMEOUT_MS);
}

enum settings_action settings_parse(struct settings *settings, int argc,
				    char **argv)
{
	enum {
		OPTION_RUNTIME_DIR = 256,
		OPTION_TIMEOUT_MS,
		OPTION_ANNOTATION_PREFIX,
		OPTION_VERSION
	};
	static const struct option long_options[] = {
		{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
		{ "timeout-ms", required_argument, NULL, OPTION_TIMEOUT_MS },
		{ "annotation-prefix", required_argument, NULL,
		  OPTION_ANNOTATION_PREFIX },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0; /* one line is all that this program says */
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case OPTION_RUNTIME_DIR:
			settings->runtime_dir = optarg;
			break;
		case OPTION_TIMEOUT_MS:
			set_timeout(settings, optarg);
			break;
		case OPTION_ANNOTATION_PREFIX:
			add_prefix(&settings->prefixes, optarg);
			break;
		case OPTION_VERSION:
			return SETTINGS_VERSION;
		case 'h':
			return SETTINGS_HELP;
		default:
			complain("option '%s' is unknown or lacks its value; "
				 "going on without it",
				 argv[optind - 1]);
		}
	}
	return SETTINGS_RUN;
}

static void complain_key(const char *key, const char *expected)
{
	complain("%s in the CNI configuration is not %s; going on without it",
		 key, expected);
}

static void read_prefixes(struct settings *settings, const json_t *list)
{
	json_t *prefix;
	size_t i;

	json_array_foreach (list, i, prefix) {
		if (json_is_string(prefix))
			add_prefix(&settings->prefixes,
				   json_string_value(prefix));
		else
			complain_key("annotationPrefixes", "a list of texts");
	}
}

void settings_read(struct settings *settings, const json_t *conf)
{
	const json_t *dir = json_object_get(conf, "runtimeDir");
	const json_t *timeout = json_object_get(conf, "timeoutMs");
	const json_t *prefixes = json_object_get(conf, "annotationPrefixes");
	json_int_t number = json_integer_value(timeout);

	if (json_is_string(dir))
		settings->runtime_dir = json_string_value(dir);
	else if (dir)
		complain_key("runtimeDir", "a text");
	if (timeout && number >= 1 && number <= SETTINGS_TIMEOUT_MS_MAX)
		settings->timeout_ms = (unsigned int)number;
	else if (timeout)
		complain_key("timeoutMs", "a number from 1 to 60000");
	if (prefixes && !json_is_array(prefixes))
		complain_key("annotationPrefixes", "a list of texts");
	read_prefixes(settings, prefixes);
}

void settings_done(struct settings *settings)
{
	free(settings->prefixes.list);
	settings->prefixes = (struct prefixes){ .list = NULL };
}
