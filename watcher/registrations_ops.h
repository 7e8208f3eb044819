/* SPDX-License-Identifier: Apache-2.0 */
/* registrations_ops.h - what the registrations ask and tell */
#ifndef WATCHER_REGISTRATIONS_OPS_H
#define WATCHER_REGISTRATIONS_OPS_H

#include <stdbool.h>
#include <stddef.h>

struct container_told;
struct registration;

/**
 * struct registrations_ops - a table of functions
 * @look_at:	looks at @path now, if it is a name in a watched directory
 * @taken:	Return: does @name lead to a namespace, in any directory?
 * @name_add:	there is a name @name in NETNS_REGISTERED_DIR from now on;
 *		registrations_open() says where it leads, and is called before
 *		this returns
 * @name_remove: there is none any more
 * @tell:	as containers_tell()
 * @ended, @changed: as registration_ended and registrations_changed of struct
 *		watcher_ops
 */
struct registrations_ops {
	void (*look_at)(const char *path, void *user_data);
	bool (*taken)(const char *name, void *user_data);
	void (*name_add)(const char *name, void *user_data);
	void (*name_remove)(const char *name, void *user_data);
	int (*tell)(const char *source, const struct container_told *told,
		    size_t n, void *user_data);
	void (*ended)(const struct registration *registration,
		      const char *reason, void *user_data);
	void (*changed)(void *user_data);
};

#endif
