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
	free(check->send);
	*check = (struct service_check){ .every_ms = 0 };
}

/* strdup(3) that keeps NULL. Return: false when memory is out. */
static bool copy_text(const char *text, char **ret_copy)
{
	*ret_copy = text ? strdup(text) : NULL;
	return !text || *ret_copy;
}

int service_check_copy(const struct service_check *check,
		       struct service_check *ret_copy)
{
	bool path, host, send;

	*ret_copy = *check;
	path = copy_text(check->http_path, &ret_copy->http_path);
	host = copy_text(check->http_host, &ret_copy->http_host);
	send = copy_text(check->send, &ret_copy->send);
	return path && host && send ? 0 : -ENOMEM;
}

bool service_checks_equal(const struct service_check *a,
			  const struct service_check *b)
{
	return a->every_ms == b->every_ms && a->timeout_ms == b->timeout_ms &&
	       a->rise == b->rise && a->fall == b->fall &&
	       a->status_min == b->status_min &&
	       a->status_max == b->status_max &&
	       text_equal(a->http_path, b->http_path) &&
	       text_equal(a->http_host, b->http_host) &&
	       text_equal(a->send, b->send);
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
