// SPDX-License-Identifier: Apache-2.0
/* test_code_pages.c - letting go of mapped code, seen by the kernel */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <yaml.h>

#include "common/code_pages.h"
#include "common/util.h"

/* What is written into stays: here a page of the program's data. */
static int written = 1;

/* KiB of the library's code that are mapped into this process. */
static unsigned int mapped_kib(const char *library)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/smaps", "re");
	unsigned int kib, total = 0;
	bool counts = false;
	char line[512], mode[8];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x-%*x %7s", mode) == 1)
			counts = strchr(mode, 'x') && strstr(line, library);
		else if (counts && sscanf(line, "Rss: %u kB", &kib) == 1)
			total += kib;
	}
	return total;
}

static void use_yaml(void)
{
	yaml_parser_t parser;

	assert_true(yaml_parser_initialize(&parser));
	yaml_parser_delete(&parser);
}

static void test_release(void **state)
{
	(void)state;
	use_yaml();
	written = 2;
	assert_true(mapped_kib("/libyaml-0.") > 0);
	code_pages_release();
	assert_int_equal(mapped_kib("/libyaml-0."), 0);
	assert_int_equal(written, 2);
	use_yaml();
	assert_true(mapped_kib("/libyaml-0.") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
