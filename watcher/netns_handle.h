/* SPDX-License-Identifier: Apache-2.0 */
/* netns_handle.h - refers to a namespace without keeping it alive */
#ifndef WATCHER_NETNS_HANDLE_H
#define WATCHER_NETNS_HANDLE_H

/* What a kernel's handle of a namespace takes: 16 bytes so far. */
#define NETNS_HANDLE_MAX 64u

/**
 * struct netns_handle - a handle, good until the next boot
 * @type, @bytes: of name_to_handle_at(2)
 * @n:		0: there is none
 */
struct netns_handle {
	int type;
	unsigned int n;
	unsigned char bytes[NETNS_HANDLE_MAX];
};

/** netns_handle_get() - Return: a handle of the namespace; with an @n of 0 this
 * kernel has none (before Linux 6.18). */
struct netns_handle netns_handle_get(int netns_fd);

/** netns_handle_open() - Return: a descriptor of the namespace, the caller's;
 * -ESTALE: the kernel has freed it; -EINVAL: it is no handle; -errno of
 * open_by_handle_at(2). */
int netns_handle_open(const struct netns_handle *handle);

#endif
