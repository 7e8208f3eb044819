/* SPDX-License-Identifier: Apache-2.0 */
/* registrar.h - tells berthd of containers, one after the other */
#ifndef HOOK_FOLLOW_REGISTRAR_H
#define HOOK_FOLLOW_REGISTRAR_H

#include <stdbool.h>

struct followed_telling;
struct loop;
struct registrar;

/**
 * typedef registrar_lost - berthd may know nothing any more of what it was told
 */
typedef void (*registrar_lost)(void *user_data);

/** enum registrar_outcome - what became of a telling */
enum registrar_outcome {
	REGISTRAR_TOLD, /* berthd knows it */
	REGISTRAR_REFUSED, /* berthd does not want this one; it was said why */
	REGISTRAR_AWAY, /* berthd is not there: to be told again */
};

/**
 * registrar_new() - does not connect
 * @path:	of berthd's control socket; borrowed
 *
 * Return: 0 or -ENOMEM.
 */
int registrar_new(struct loop *loop, const char *path, registrar_lost lost,
		  void *user_data, struct registrar **ret_registrar);

/** registrar_free() - Return: NULL. NULL is fine. */
struct registrar *registrar_free(struct registrar *registrar);

/** registrar_ready() - Return: is registrar_tell() worth a try now? The loop
 * runs when it is again. */
bool registrar_ready(const struct registrar *registrar);

/**
 * registrar_tell() - registers a container, or ends its registration
 * @runtime:	whose container, for messages
 *
 * Blocks until berthd answers, for some seconds at most.
 */
enum registrar_outcome registrar_tell(struct registrar *registrar,
				      const char *runtime,
				      const struct followed_telling *telling);

#endif
