// SPDX-License-Identifier: Apache-2.0
/* monitor_parse.c - the parameters of Monitor */
#include "daemon/control/monitor_parse.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/events.h"

#define KINDS "kinds"

static int refuse(struct parameter_problem *problem, const char *parameter,
		  const char *expected)
{
	problem->parameter = parameter;
	(void)snprintf(problem->expected, sizeof(problem->expected), "%s",
		       expected);
	return -EINVAL;
}

static int parse_kinds(const json_t *value, uint32_t *ret_kinds,
		       struct parameter_problem *problem)
{
	uint32_t kinds = 0;
	json_t *element;
	size_t i;

	if (!json_is_array(value))
		return refuse(problem, KINDS, "expected an array of texts");
	json_array_foreach (value, i, element) {
		const char *text = json_string_value(element);
		uint32_t some = text ? event_kinds_parse(text) : 0;

		if (!some)
			return refuse(problem, KINDS,
				      "expected kinds of events such as "
				      "listener.opened, or listener for all of "
				      "listeners");
		kinds |= some;
	}
	if (!kinds)
		return refuse(problem, KINDS, "expected at least one kind");
	*ret_kinds = kinds;
	return 0;
}

static int parse_text(const char *key, const json_t *value, char **ret_text,
		      struct parameter_problem *problem)
{
	const char *text = json_string_value(value);

	if (!text || !*text || strlen(text) != json_string_length(value) ||
	    strlen(text) >= PATH_MAX)
		return refuse(problem, key,
			      "expected a name, of less than 4096 bytes and "
			      "without NUL");
	*ret_text = strdup(text);
	return *ret_text ? 0 : -ENOMEM;
}

static int parse_member(const char *key, const json_t *value,
			struct monitor_filter *filter,
			struct parameter_problem *problem)
{
	bool is_null = json_is_null(value);

	if (strcmp(key, KINDS) == 0)
		return is_null ? 0
			       : parse_kinds(value, &filter->kinds, problem);
	if (strcmp(key, "namespace") == 0)
		return is_null ? 0
			       : parse_text("namespace", value, &filter->netns,
					    problem);
	if (strcmp(key, "rule") == 0)
		return is_null ? 0
			       : parse_text("rule", value, &filter->rule,
					    problem);
	return refuse(problem, key, "there is no such parameter");
}

int monitor_parse(const json_t *parameters, struct monitor_filter *ret_filter,
		  struct parameter_problem *ret_problem)
{
	struct monitor_filter filter = { .kinds = EVENT_ALL_KINDS };
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)parameters, key, value) {
		int r = parse_member(key, value, &filter, ret_problem);

		if (r < 0) {
			monitor_filter_done(&filter);
			return r;
		}
	}
	*ret_filter = filter;
	return 0;
}

void monitor_filter_done(struct monitor_filter *filter)
{
	free(TAKE_PTR(filter->netns));
	free(TAKE_PTR(filter->rule));
}
