// SPDX-License-Identifier: Apache-2.0
/* duration.c - durations on berthctl's command line */
#include "ctl/duration.h"

#include <string.h>

#include "common/util.h"

int duration_parse(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "m", 60 * 1000 },
		{ "h", 3600 * 1000 },
	};
	int64_t number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0 || number > INT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		*ret_ms = number * units[i].ms;
		return 0;
	}
	if (number != 0 || *end)
		return -EINVAL;
	*ret_ms = 0;
	return 0;
}
