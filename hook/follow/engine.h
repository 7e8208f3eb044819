/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - what Docker's API says, and podman's, which is like it
 *
 * Pure: from text to values. The engine is trusted no further than its word on
 * its containers goes; labels and names are of whoever started them.
 */
#ifndef HOOK_FOLLOW_ENGINE_H
#define HOOK_FOLLOW_ENGINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Docker's and podman's have 64. */
#define ENGINE_ID_MAX 128

/* Followed of one engine. A host that runs more of them runs no engine of this
 * kind. */
#define ENGINE_CONTAINERS_MAX 16384

/** enum engine_network - whose network a container has, as the engine says */
enum engine_network {
	ENGINE_NETWORK_OWN, /* its own, or that of another container */
	ENGINE_NETWORK_HOST, /* the host's */
};

/**
 * struct engine_container - what the engine says of one container
 * @running:	it has a process; a paused one has, too
 * @pid:	of that process; 0: it is not running
 * @network:	whose
 * @parameters:	of io.berth.Register but for where the namespace is; owned;
 *		NULL unless it is running
 * @path:	of its namespace, borrowed from @root; "" if the engine tells
 *		none
 * @root:	owned
 */
struct engine_container {
	bool running;
	int pid;
	enum engine_network network;
	json_t *parameters;
	const char *path;
	json_t *root;
};

/** struct engine_ids - a list of ids, owned */
struct engine_ids {
	char (*list)[ENGINE_ID_MAX + 1];
	size_t n;
};

/**
 * engine_list_parse() - the answer to /containers/json
 * @ret_ids:	to be freed with engine_ids_done(); elements that are no
 *		containers are left out
 *
 * Return: 0; -EBADMSG: it is no list of containers; -E2BIG: of more than
 * ENGINE_CONTAINERS_MAX; -ENOMEM.
 */
int engine_list_parse(const char *text, size_t len, struct engine_ids *ret_ids);

/** engine_ids_done() - frees the list, not the struct */
void engine_ids_done(struct engine_ids *ids);

/**
 * engine_container_parse() - the answer to /containers/ID/json
 * @runtime:	"docker" or "podman", told to berthd
 * @id:		that was asked for
 * @ret_container: to be freed with engine_container_done()
 *
 * Return: 0; -EBADMSG: it is no container, or another one; -ENOMEM.
 */
int engine_container_parse(const char *text, size_t len, const char *runtime,
			   const char *id,
			   struct engine_container *ret_container);

/** engine_container_done() - frees what it owns, not the struct */
void engine_container_done(struct engine_container *container);

/**
 * engine_event_parse() - one line of /events
 * @ret_id:	of the container that may have changed
 *
 * Return: 1; 0: the event changes nothing that berthd is told; -EBADMSG: it is
 * no event.
 */
int engine_event_parse(const char *text, size_t len,
		       char ret_id[ENGINE_ID_MAX + 1]);

#endif
