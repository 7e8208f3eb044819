/* SPDX-License-Identifier: Apache-2.0 */
/* registration.h - a container that somebody registered, as plain data */
#ifndef WATCHER_REGISTRATION_H
#define WATCHER_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/container.h"
#include "watcher/link.h"
#include "watcher/netns_handle.h"

/**
 * enum registration_source - what told of a container
 * @REGISTRATION_OTHER: did not say what it is
 * @REGISTRATION_DESCRIPTOR: nor did this, and told by a descriptor
 * @REGISTRATION_HOOK: runs before the container does
 * @REGISTRATION_RUNTIME: follows the events of an engine
 */
enum registration_source {
	REGISTRATION_OTHER,
	REGISTRATION_DESCRIPTOR,
	REGISTRATION_HOOK,
	REGISTRATION_RUNTIME,
	REGISTRATION_SOURCES,
};

/** registration_source_name() - static text, one word */
const char *registration_source_name(enum registration_source source);

/** registration_source_parse() - Return: 0; -EINVAL: @name is no such word. */
int registration_source_parse(const char *name,
			      enum registration_source *ret_source);

/**
 * struct registration_told - what somebody registers
 * @path:	absolute, leads to the namespace; or NULL
 * @fd:		of the namespace, or a pidfd; or -1. Borrowed.
 * @uid:	who registers. With the container's id or, without an id, its
 *		pod namespace and name that is the key: what is registered with
 *		the same key replaces what was.
 * @transient:	it ends with the connection that made it: the caller sees to
 *		that. Not to be kept for the next berthd.
 * @container:	copied; its @source is not looked at. Its @uid is also the
 *		name's, and need not be @uid. Its @pid, when it is not 0, is of
 *		a process with which the registration ends; without @path and
 *		@fd the namespace is that of this process.
 */
struct registration_told {
	const char *path;
	int fd;
	uid_t uid;
	bool transient;
	enum registration_source source;
	struct container container;
};

/**
 * struct registration - one that is in force
 * @id:		never used again, also not by the next berthd
 * @netns_id:	of its namespace
 * @container:	as it was told; its @source is "register:" and @id
 * @path:	that was told, or NULL
 * @task:	the process with which it ends; its number is 0: there is none
 * @name:	the name that it gives its namespace in NETNS_REGISTERED_DIR;
 *		NULL: the namespace has other names
 */
struct registration {
	uint64_t id;
	uint64_t netns_id;
	uid_t uid;
	bool transient;
	enum registration_source source;
	const struct container *container;
	const char *path;
	const char *name;
	struct task task;
	struct netns_handle handle;
};

#endif
