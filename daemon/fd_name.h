/* SPDX-License-Identifier: Apache-2.0 */
/* fd_name.h - what listeners are called in the service manager's store */
#ifndef DAEMON_FD_NAME_H
#define DAEMON_FD_NAME_H

#include <stdbool.h>

#include "common/endpoint.h"

/* The longest name, and its end: below the 255 that the manager takes. */
#define FD_NAME_MAX 96

/**
 * enum fd_kind - what the kernel does not tell of a socket's address
 */
enum fd_kind {
	FD_KIND_ADDRESS, /* it is the one that the socket has */
	FD_KIND_ANY, /* `any`, which may be an IPv4 socket, too */
	FD_KIND_ALL, /* `all`, of which the socket has what there is */
};

/** fd_kind_of() - Return: which kind of address @endpoint has. */
enum fd_kind fd_kind_of(const struct endpoint *endpoint);

/**
 * fd_name_fmt() - "berth.any.relay": the kind, and the consumer
 * @consumer:	may have had the listener; at most 64 characters
 * @buffer:	of FD_NAME_MAX, returned
 *
 * Many listeners have the same name: so one message leaves 253 of them with the
 * manager, or has it forget all. All else is the kernel's to tell.
 */
const char *fd_name_fmt(enum fd_kind kind, const char *consumer, char *buffer);

/**
 * fd_name_parse() - the reverse of fd_name_fmt()
 * @name:	any text
 * @ret_consumer: the end of @name
 *
 * Return: 0; -EINVAL: fd_name_fmt() writes no such name; nothing is returned
 * then.
 */
int fd_name_parse(const char *name, enum fd_kind *ret_kind,
		  const char **ret_consumer);

/** fd_name_is_valid() - can the service manager have taken this name? Only then
 * can it be told to forget what has it. */
bool fd_name_is_valid(const char *name);

#endif
