/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - what berthd was told of one container, as plain data
 *
 * The kernel knows no containers. Somebody tells of them; only the watcher
 * keeps what was told, rules and daemon read it.
 */
#ifndef COMMON_CONTAINER_H
#define COMMON_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of one container. More than Kubernetes allows an object; runtimes put whole
 * documents into labels, but nobody chooses a container by these. */
#define CONTAINER_LABELS_MAX 256u
#define CONTAINER_BYTES_MAX (64u * 1024)

/* Of its name, pod namespace, id and runtime, each. Twice what Kubernetes
 * allows. */
#define CONTAINER_TEXT_MAX 512u

/* Of a process; PID_MAX_LIMIT of the kernel. */
#define CONTAINER_PID_MAX (UINT64_C(1) << 22)

/** struct container_label - any bytes but NUL; @key is never empty */
struct container_label {
	const char *key;
	const char *value;
};

/**
 * struct container - one container of a network namespace
 * @name:	never empty
 * @pod_namespace, @id, @runtime: "" when they were not told
 * @source:	where it was told: the path of a file
 * @uid:	who told it; 0: root, whose word all rules go by
 * @pid:	of a process of the container; 0 when it was not told
 * @since_us:	when its source told of it first, by the monotonic clock; not
 *		looked at by container_compare()
 * @labels:	sorted by key; each key once
 */
struct container {
	const char *name;
	const char *pod_namespace;
	const char *id;
	const char *runtime;
	const char *source;
	pid_t pid;
	uid_t uid;
	uint64_t since_us;
	const struct container_label *labels;
	size_t n_labels;
};

/** container_labels_sort() - sorts labels as struct container wants them */
void container_labels_sort(struct container_label *labels, size_t n);

/**
 * container_copy() - copies a container with all its texts
 *
 * Return: one piece of memory, the caller's, to be freed with free(3); NULL:
 * out of memory.
 */
struct container *container_copy(const struct container *container);

/** container_bytes() - Return: how much memory container_copy() takes. */
size_t container_bytes(const struct container *container);

/**
 * container_compare_names() - by what a container is called: its name, its pod
 * namespace, its id; the order of container_compare() begins so
 *
 * Return: less than, equal to or greater than 0, as strcmp(3).
 */
int container_compare_names(const struct container *a,
			    const struct container *b);

/**
 * container_compare() - an order of containers: those that root told come
 * first, then by name, then by all the rest
 *
 * Return: less than, equal to or greater than 0, as strcmp(3).
 */
int container_compare(const struct container *a, const struct container *b);

/** container_label() - Return: the label's value, the container's; NULL: the
 * container has no such label. */
const char *container_label(const struct container *container, const char *key);

#endif
