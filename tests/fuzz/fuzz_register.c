// SPDX-License-Identifier: Apache-2.0
/* fuzz_register.c - parameters of Register, Unregister, Wait and Monitor of any
 * shape, through the real entry points; what is taken is within the limits
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/container.h"
#include "common/util.h"
#include "daemon/control/monitor_parse.h"
#include "daemon/control/register_parse.h"
#include "daemon/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problem(int r, const struct parameter_problem *problem)
{
	assert(r == -EINVAL && problem->parameter);
	assert(strlen(problem->expected) > 0);
	assert(strlen(problem->expected) < PARAMETER_EXPECTED_MAX);
}

static void check_container(const struct container *container)
{
	struct container *copy = container_copy(container);

	assert(copy && container_compare(copy, container) == 0);
	assert(*container->name);
	assert(strlen(container->name) <= CONTAINER_TEXT_MAX);
	assert(container_bytes(container) <= CONTAINER_BYTES_MAX);
	assert(container->n_labels <= CONTAINER_LABELS_MAX);
	for (size_t i = 1; i < container->n_labels; i++)
		assert(strcmp(container->labels[i - 1].key,
			      container->labels[i].key) < 0);
	free(copy);
}

static void fuzz_register(const json_t *parameters, bool has_fd)
{
	struct parameter_problem problem = { .parameter = NULL };
	struct register_told told;
	int r = register_parse(parameters, has_fd, &told, &problem);

	if (r < 0) {
		check_problem(r, &problem);
		return;
	}
	check_container(&told.container);
	assert(told.path ? told.path[0] == '/' && strlen(told.path) < PATH_MAX
			 : told.fd || told.container.pid > 0);
	assert(!told.fd || (has_fd && !told.path));
	assert(told.wait_us <= REGISTER_MS_MAX * USEC_PER_MSEC);
	register_told_done(&told);
}

static void fuzz_others(const json_t *parameters)
{
	struct parameter_problem problem = { .parameter = NULL };
	struct unregister_told unregistered;
	struct wait_told waited;
	int r = unregister_parse(parameters, &unregistered, &problem);

	if (r < 0)
		check_problem(r, &problem);
	else
		assert(unregistered.registration || *unregistered.id ||
		       *unregistered.name);
	r = wait_parse(parameters, &waited, &problem);
	if (r < 0)
		check_problem(r, &problem);
	else
		assert(*waited.name &&
		       waited.timeout_us <= WAIT_MS_MAX * USEC_PER_MSEC);
}

static void fuzz_monitor(const json_t *parameters)
{
	struct parameter_problem problem = { .parameter = NULL };
	struct monitor_filter filter;
	int r = monitor_parse(parameters, &filter, &problem);

	if (r < 0) {
		check_problem(r, &problem);
		return;
	}
	assert(filter.kinds && !(filter.kinds & ~EVENT_ALL_KINDS));
	assert(!filter.netns ||
	       (*filter.netns && strlen(filter.netns) < PATH_MAX));
	assert(!filter.rule ||
	       (*filter.rule && strlen(filter.rule) < PATH_MAX));
	monitor_filter_done(&filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *root = json_loadb((const char *)data, size,
				  JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
				  NULL);

	if (json_is_object(root)) {
		fuzz_register(root, /* has_fd= */ true);
		fuzz_register(root, /* has_fd= */ false);
		fuzz_others(root);
		fuzz_monitor(root);
	}
	json_decref(root);
	return 0;
}
