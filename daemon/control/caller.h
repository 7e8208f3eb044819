/* SPDX-License-Identifier: Apache-2.0 */
/* caller.h - who calls a method of io.berth, and what there is for them */
#ifndef DAEMON_CONTROL_CALLER_H
#define DAEMON_CONTROL_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

struct config_control;
struct netns;
struct varlink_call;

/** enum caller_rank - whom berthd takes the caller for, the least first */
enum caller_rank {
	CALLER_USER, /* for whom only what is theirs exists */
	CALLER_REGISTRAR, /* one whose word on containers is root's */
	CALLER_ROOT, /* root, or berthd's own user */
};

/**
 * struct caller - who calls
 * @reads:	may see everything, and is told everything: root, and the group
 *		of readers
 */
struct caller {
	uid_t uid;
	enum caller_rank rank;
	bool reads;
};

/** caller_root - for methods that are root's alone */
extern const struct caller caller_root;

/** enum control_access - whom a method is for */
enum control_access {
	CONTROL_FOR_ROOT, /* it changes something */
	CONTROL_FOR_READERS, /* it shows everything */
	CONTROL_FOR_ALL, /* it is about what the caller may see: caller_sees()
			  */
};

/** caller_of() - Return: who calls, by SO_PEERCRED of the connection. */
struct caller caller_of(const struct varlink_call *call,
			const struct config_control *config);

/** caller_refuse() - may the caller call a method at all? Return: NULL; else
 * static text: why not. */
const char *caller_refuse(const struct caller *caller,
			  enum control_access access);

/**
 * caller_sees() - does a namespace exist for the caller?
 *
 * All do for root and readers. For others those do that they told of.
 */
bool caller_sees(const struct caller *caller, const struct netns *netns);

#endif
