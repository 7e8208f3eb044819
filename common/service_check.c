// SPDX-License-Identifier: Apache-2.0
/* service_check.c - how the backends of a rule are checked */
#include "common/service_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

void service_check_done(struct service_check *check)
{
	free(check->http_path);
	free(check->http_host);
	*check = (struct service_check){ .every_ms = 0 };
}

int service_check_copy(const struct service_check *check,
		       struct service_check *ret_copy)
{
	*ret_copy = *check;
	ret_copy->http_path = check->http_path ? strdup(check->http_path)
					       : NULL;
	ret_copy->http_host = check->http_host ? strdup(check->http_host)
					       : NULL;
	return (check->http_path && !ret_copy->http_path) ||
			       (check->http_host && !ret_copy->http_host)
		       ? -ENOMEM
		       : 0;
}

bool service_checks_equal(const struct service_check *a,
			  const struct service_check *b)
{
	return a->every_ms == b->every_ms && a->timeout_ms == b->timeout_ms &&
	       a->rise == b->rise && a->fall == b->fall &&
	       a->status_min == b->status_min &&
	       a->status_max == b->status_max &&
	       text_equal(a->http_path, b->http_path) &&
	       text_equal(a->http_host, b->http_host);
}

bool service_check_path_good(const char *path)
{
	if (path[0] != '/' || strlen(path) > SERVICE_CHECK_TEXT_MAX)
		return false;
	for (; *path; path++) {
		if (*path <= ' ' || *path > '~' || *path == '#')
			return false;
	}
	return true;
}
