// SPDX-License-Identifier: Apache-2.0
/* fuzz_selector.c - a label selector of any bytes: what is taken can be printed
 * and taken again, with the same meaning
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *requirement_text(const struct requirement *requirement)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert(f);
	requirement_print(f, requirement);
	(void)fclose(f);
	return text;
}

static void check_again(const struct requirement *requirement,
			const struct container *container)
{
	struct selector_problem problem;
	struct selector again = { 0 };
	char *text = requirement_text(requirement);

	assert(text && selector_parse(text, &again, &problem) == 0);
	assert(again.n == 1);
	assert(selector_matches(&again, container) ==
	       requirement_met(requirement, container));
	selector_done(&again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct container_label labels[] = { { "a", "b" },
							 { "c", "" } };
	const struct container container = { .labels = labels, .n_labels = 2 };
	struct selector_problem problem;
	struct selector selector = { 0 };
	char *text = strndup((const char *)data, size);
	int r;

	assert(text);
	r = selector_parse(text, &selector, &problem);
	if (r < 0) {
		assert(r == -EINVAL && problem.offset <= strlen(text));
		assert(memchr(problem.message, '\0', sizeof(problem.message)));
	}
	for (size_t i = 0; i < selector.n; i++)
		check_again(&selector.list[i], &container);
	selector_done(&selector);
	free(text);
	return 0;
}
