// SPDX-License-Identifier: Apache-2.0
/* fuzz_prometheus.c - replies of any shape as Prometheus' text: what is written
 * of them has a line for each series, which ends where it should
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *skip_name(const char *at)
{
	size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");

	assert(len > 0 && (*at < '0' || *at > '9'));
	return at + len;
}

/* Behind the quote that begins a value, which ends at the next one that no
 * backslash stands before. */
static const char *skip_value(const char *at)
{
	for (; *at != '"'; at++) {
		assert(*at != '\0');
		if (*at == '\\') {
			at++;
			assert(*at == '\\' || *at == '"' || *at == 'n');
		}
	}
	return at + 1;
}

static void check_series(const char *line)
{
	const char *at = skip_name(line);
	char *end;

	if (*at == '{') {
		do {
			at = skip_name(at + 1);
			assert(at[0] == '=' && at[1] == '"');
			at = skip_value(at + 2);
		} while (*at == ',');
		assert(*at++ == '}');
	}
	assert(*at == ' ');
	(void)strtod(at + 1, &end);
	assert(end > at + 1 && *end == '\0');
}

/* Return: how many series it has. */
static size_t check_text(char *text)
{
	size_t n = 0;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) && rest) {
		if (strncmp(line, "# HELP ", strlen("# HELP ")) == 0 ||
		    strncmp(line, "# TYPE ", strlen("# TYPE ")) == 0) {
			(void)skip_name(line + strlen("# HELP "));
			continue;
		}
		check_series(line);
		n++;
	}
	assert(line && *line == '\0');
	return n;
}

/* Several replies, with a 0 between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct prometheus *prometheus = prometheus_new();
	char *text = NULL;
	size_t len = 0, n = 0;
	FILE *out = open_memstream(&text, &len);
	int r = 0;

	assert(prometheus && out);
	while (r == 0 && at < end) {
		const char *zero = memchr(at, '\0', (size_t)(end - at));
		size_t reply_len = (size_t)((zero ? zero : end) - at);
		json_t *reply = json_loadb(at, reply_len, 0, NULL);

		r = prometheus_add(prometheus, reply, out);
		n += json_array_size(json_object_get(reply, "metrics"));
		json_decref(reply);
		at += reply_len + 1;
	}
	assert(fclose(out) == 0);
	if (r == 0)
		assert(strlen(text) == len && check_text(text) == n);
	prometheus_free(prometheus);
	free(text);
	return 0;
}
