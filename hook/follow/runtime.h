/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h - follows one container engine by its API */
#ifndef HOOK_FOLLOW_RUNTIME_H
#define HOOK_FOLLOW_RUNTIME_H

#include <stdint.h>

struct http;
struct followed;
struct loop;
struct runtime;

/**
 * struct runtime_config - which engine; all borrowed
 * @name:	"docker" or "podman"
 * @path:	of its socket
 * @unless_path: while this is the same socket, it is not followed by this one;
 *		NULL: no such
 * @resync_us:	how often everything is looked at although no event says so, at
 *		least
 */
struct runtime_config {
	const char *name;
	const char *path;
	const char *unless_path;
	uint64_t resync_us;
};

/** runtime_new() - does not connect yet. Return: 0 or -ENOMEM. */
int runtime_new(struct loop *loop, struct http *http,
		const struct runtime_config *config,
		struct runtime **ret_runtime);

/** runtime_free() - Return: NULL. NULL is fine. */
struct runtime *runtime_free(struct runtime *runtime);

/** runtime_step() - does what has become due; for the loop's after-handler */
void runtime_step(struct runtime *runtime);

/** runtime_followed() - Return: its containers, which the caller tells berthd
 * of
 */
struct followed *runtime_followed(struct runtime *runtime);

/** runtime_name() - Return: as in its configuration. */
const char *runtime_name(const struct runtime *runtime);

/** runtime_refused() - berthd did not take a container: it is to be looked at
 * again before long */
void runtime_refused(struct runtime *runtime);

#endif
