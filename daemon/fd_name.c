// SPDX-License-Identifier: Apache-2.0
/* fd_name.c - what listeners are called in the service manager's store */
#include "daemon/fd_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

#define PREFIX "berth."

/* As rules have it. */
#define CONSUMER_MAX 64

/* systemd's limit for names in its store. */
#define MANAGER_NAME_MAX 255

static const char *const kinds[] = {
	[FD_KIND_ADDRESS] = "addr",
	[FD_KIND_ANY] = "any",
	[FD_KIND_ALL] = "all",
};

enum fd_kind fd_kind_of(const struct endpoint *endpoint)
{
	if (endpoint->multihomed)
		return FD_KIND_ALL;
	return endpoint->family == AF_UNSPEC ? FD_KIND_ANY : FD_KIND_ADDRESS;
}

const char *fd_name_fmt(enum fd_kind kind, const char *consumer, char *buffer)
{
	(void)snprintf(buffer, FD_NAME_MAX, PREFIX "%s.%s", kinds[kind],
		       consumer); /* fits: at most 75 */
	return buffer;
}

int fd_name_parse(const char *name, enum fd_kind *ret_kind,
		  const char **ret_consumer)
{
	const char *dot;
	size_t len;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return -EINVAL;
	name += strlen(PREFIX);
	dot = strchr(name, '.');
	if (!dot || !dot[1] || strlen(dot + 1) > CONSUMER_MAX)
		return -EINVAL;
	len = (size_t)(dot - name);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (len != strlen(kinds[i]) ||
		    strncmp(name, kinds[i], len) != 0)
			continue;
		*ret_kind = (enum fd_kind)i;
		*ret_consumer = dot + 1;
		return 0;
	}
	return -EINVAL;
}

bool fd_name_is_valid(const char *name)
{
	const char *at;

	for (at = name; *at; at++) {
		if (*at < ' ' || *at > '~' || *at == ':')
			return false;
	}
	return at > name && at - name <= MANAGER_NAME_MAX;
}
