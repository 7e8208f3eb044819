// SPDX-License-Identifier: Apache-2.0
/* fuzz_template.c - names of containers in templates and under patterns
 *
 * Three texts, each up to a NUL: the template or pattern, which a person
 * wrote, and the names of a namespace and an interface, which a container
 * chose.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/backend.h"
#include "common/utf8.h"
#include "common/util.h"
#include "rules/pattern.h"
#include "rules/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Return: an allocated text, of what is up to the next NUL. */
static char *take_text(const uint8_t **data, size_t *size)
{
	char *text = strndup((const char *)*data, *size);
	size_t used;

	assert(text);
	used = strlen(text) + 1;
	if (used > *size)
		used = *size;
	*data += used;
	*size -= used;
	return text;
}

/* Those of references are of the keys of labels, and are not in a path. */
static size_t count_slashes(const char *text, bool references)
{
	size_t n = 0;

	while (*text) {
		if (references && strncmp(text, "${", 2) == 0) {
			text = strchr(text, '}') + 1;
			continue;
		}
		n += *text++ == '/';
	}
	return n;
}

static void try_template(const char *text, const char *netns,
			 const char *ifname)
{
	const struct template_values values = {
		.namespace = netns,
		.ifname = ifname,
		.addr = { .family = AF_INET6 },
		.port = 65535,
	};
	char problem[TEMPLATE_PROBLEM_MAX];
	char expanded[BACKEND_TEXT_MAX];
	struct backend backend;
	const char *expected = NULL;
	int r = template_check(text, problem);

	if (r < 0) {
		assert(r == -EINVAL && problem[0]);
		return;
	}
	r = template_expand(text, &values, expanded, sizeof(expanded));
	assert(r == 0 || r == -EPERM || r == -E2BIG);
	if (r < 0)
		return;
	/* No name adds a step to a path. */
	assert(strlen(expanded) < sizeof(expanded));
	assert(count_slashes(expanded, false) == count_slashes(text, true));
	if (backend_parse(expanded, &backend, &expected) < 0)
		assert(expected);
}

static void try_pattern(const char *text, const char *name)
{
	char problem[PATTERN_PROBLEM_MAX];
	struct pattern pattern;

	if (pattern_parse(text, &pattern, problem) < 0)
		return;
	(void)pattern_matches(&pattern, name); /* either is right */
	pattern_done(&pattern);
}

static void try_utf8(const char *name)
{
	_cleanup_free_ char *escaped = utf8_escape(name);
	_cleanup_free_ char *again = NULL;

	assert(escaped);
	for (const char *c = escaped; *c; c += utf8_char_len(c))
		assert(utf8_char_len(c) > 0);
	again = utf8_unescape(escaped);
	assert(again);
	/* A name that spells an escape itself is another after all. */
	if (!strstr(name, "\\x"))
		assert(strcmp(again, name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = take_text(&data, &size);
	_cleanup_free_ char *netns = take_text(&data, &size);
	_cleanup_free_ char *ifname = take_text(&data, &size);

	try_template(text, netns, ifname);
	try_pattern(text, netns);
	try_utf8(netns);
	return 0;
}
