/* SPDX-License-Identifier: Apache-2.0 */
/* golden_fixture.h - golden pairs: files that people write, and their results
 *
 * Each NN-name.in.yaml has a file beside it: either .ok, what was understood,
 * or .err, the complete error texts. With BERTH_GOLDEN=write in the environment
 * these files are written instead of compared; look at the difference before
 * committing it.
 */
#ifndef TESTS_UNIT_GOLDEN_FIXTURE_H
#define TESTS_UNIT_GOLDEN_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/util.h"

#define GOLDEN_INPUT ".in.yaml"
#define GOLDEN_PATH_MAX 512 /* of an input */

/* What the parser makes of the text, as the golden files have it; allocated. */
typedef char *(*golden_outcome)(const char *name, const char *text, size_t len,
				bool *ret_ok);

static inline char *golden_read(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size;
	FILE *out;
	int c;

	if (!in)
		return NULL;
	out = open_memstream(&text, &size);
	assert_non_null(out);
	while ((c = fgetc(in)) != EOF)
		(void)fputc(c, out);
	(void)fclose(in);
	assert_int_equal(fclose(out), 0);
	*ret_len = size;
	return text;
}

static inline void golden_write(const char *base, const char *result, bool ok)
{
	char path[GOLDEN_PATH_MAX + sizeof(".err")];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s%s", base, ok ? ".err" : ".ok");
	(void)unlink(path); /* mostly not there */
	(void)snprintf(path, sizeof(path), "%s%s", base, ok ? ".ok" : ".err");
	f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs(result, f);
	assert_int_equal(fclose(f), 0);
}

static inline int golden_compare(const char *base, const char *result, bool ok)
{
	_cleanup_free_ char *wanted = NULL;
	char path[GOLDEN_PATH_MAX + sizeof(".err")];
	size_t len;

	(void)snprintf(path, sizeof(path), "%s%s", base, ok ? ".ok" : ".err");
	wanted = golden_read(path, &len);
	if (wanted && strcmp(wanted, result) == 0)
		return 0;
	print_error("%s: wanted\n%sgot\n%s", path,
		    wanted ? wanted : "(there is no such file)\n", result);
	return 1;
}

static inline int golden_check_input(const char *dir, const char *name,
				     golden_outcome outcome)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *result = NULL;
	char path[GOLDEN_PATH_MAX];
	size_t len = 0;
	bool ok;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = golden_read(path, &len);
	assert_non_null(text);
	result = outcome(name, text, len, &ok);
	path[strlen(path) - strlen(GOLDEN_INPUT)] = '\0';
	if (getenv("BERTH_GOLDEN")) {
		golden_write(path, result, ok);
		return 0;
	}
	return golden_compare(path, result, ok);
}

static inline int golden_is_input(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > strlen(GOLDEN_INPUT) &&
	       strcmp(entry->d_name + len - strlen(GOLDEN_INPUT),
		      GOLDEN_INPUT) == 0;
}

/* Return: how many pairs of @dir do not fit. */
static inline int golden_check(const char *dir, golden_outcome outcome)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, golden_is_input, alphasort);
	int failed = 0;

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		failed += golden_check_input(dir, entries[i]->d_name, outcome);
		free(entries[i]);
	}
	free(entries);
	return failed;
}

#endif
