// SPDX-License-Identifier: Apache-2.0
/* fuzz_containers.c - a file of containers.d of any bytes, through the real
 * entry point; what is taken is within the limits
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/containers_parse.h"
#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct container_told *told)
{
	const struct container *container = &told->container;
	struct container *copy = container_copy(container);

	assert(copy && container_compare(copy, container) == 0);
	assert(*container->name && (told->netns_path || container->pid > 0));
	assert(container_bytes(container) <= CONTAINER_BYTES_MAX);
	for (size_t i = 0; i < container->n_labels; i++)
		assert(container_label(copy, container->labels[i].key));
	for (size_t i = 1; i < container->n_labels; i++)
		assert(strcmp(container->labels[i - 1].key,
			      container->labels[i].key) < 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rules_errors errors = { 0 };
	struct told_list told = { 0 };
	int r = containers_parse("f", (const char *)data, size, &errors, &told);

	assert(r == 0 ? errors.n == 0 : errors.n > 0 && r == -EINVAL);
	assert(errors.n <= RULES_ERRORS_MAX);
	for (size_t i = 0; i < told.n; i++)
		check(&told.list[i]);
	for (size_t i = 0; i < errors.n; i++)
		free(rules_error_fmt(&errors.list[i]));
	told_list_done(&told);
	rules_errors_done(&errors);
	return 0;
}
