// SPDX-License-Identifier: Apache-2.0
/* color.c - colours, where a person looks at the output */
#include "ctl/color.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"

static bool enabled;

/* A terminal that cannot do more than print says so by its type. */
static bool terminal_has_colors(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
	       *term && strcmp(term, "dumb") != 0;
}

int color_choose(const char *when)
{
	if (strcmp(when, "always") == 0)
		enabled = true;
	else if (strcmp(when, "never") == 0)
		enabled = false;
	else if (strcmp(when, "auto") == 0)
		enabled = terminal_has_colors();
	else
		return -EINVAL;
	return 0;
}

bool color_enabled(void)
{
	return enabled;
}

const char *color_begin(enum color color)
{
	static const char *const sequences[] = {
		[COLOR_NONE] = "",	    [COLOR_HEADING] = "\033[1m",
		[COLOR_GOOD] = "\033[32m",  [COLOR_WARNING] = "\033[33m",
		[COLOR_BAD] = "\033[1;31m", [COLOR_FAINT] = "\033[2m",
	};

	return enabled ? sequences[color] : "";
}

const char *color_end(enum color color)
{
	return enabled && color != COLOR_NONE ? "\033[0m" : "";
}

enum color color_of_state(const char *text)
{
	static const struct {
		const char *word;
		enum color color;
	} words[] = {
		/* listeners */
		{ "listening", COLOR_GOOD },
		{ "waiting", COLOR_WARNING },
		{ "refused", COLOR_BAD },
		{ "draining", COLOR_WARNING },
		{ "absent", COLOR_WARNING },
		/* connections */
		{ "open", COLOR_GOOD },
		{ "connecting", COLOR_WARNING },
		{ "closing", COLOR_FAINT },
		/* health, and backends */
		{ "ok", COLOR_GOOD },
		{ "up", COLOR_GOOD },
		{ "down", COLOR_BAD },
		{ "unreachable", COLOR_BAD },
		{ "backend-down", COLOR_BAD },
		{ "limited", COLOR_WARNING },
		{ "unknown", COLOR_FAINT },
		/* what is provided */
		{ "added", COLOR_GOOD },
		{ "found", COLOR_GOOD },
		{ "leaving", COLOR_WARNING },
		{ "shadowed", COLOR_WARNING },
		/* consumers */
		{ "connected", COLOR_GOOD },
		{ "yes", COLOR_GOOD },
		{ "no", COLOR_FAINT },
	};
	size_t len = strcspn(text, " ,:;");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i].word) == len &&
		    strncmp(words[i].word, text, len) == 0)
			return words[i].color;
	}
	return COLOR_NONE;
}
