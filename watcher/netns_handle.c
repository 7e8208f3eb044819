// SPDX-License-Identifier: Apache-2.0
/* netns_handle.c - refers to a namespace without keeping it alive */
#include "watcher/netns_handle.h"

#include <fcntl.h>
#include <string.h>

#include "common/util.h"

/* In place of a descriptor of that file system; Linux 6.18, as its handles. */
#ifndef FD_NSFS_ROOT
#define FD_NSFS_ROOT (-10003)
#endif

/* What both system calls want: a head, and the bytes behind it. */
union handle_buffer {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + NETNS_HANDLE_MAX];
};

struct netns_handle netns_handle_get(int netns_fd)
{
	union handle_buffer buffer = {
		.handle.handle_bytes = NETNS_HANDLE_MAX,
	};
	struct netns_handle handle = { 0 };
	int mount_id;

	if (name_to_handle_at(netns_fd, "", &buffer.handle, &mount_id,
			      AT_EMPTY_PATH) < 0 ||
	    buffer.handle.handle_bytes > NETNS_HANDLE_MAX)
		return handle;
	handle.type = buffer.handle.handle_type;
	handle.n = buffer.handle.handle_bytes;
	memcpy(handle.bytes, buffer.handle.f_handle, handle.n);
	return handle;
}

int netns_handle_open(const struct netns_handle *handle)
{
	union handle_buffer buffer = {
		.handle = { .handle_bytes = handle->n,
			    .handle_type = handle->type },
	};
	int fd;

	if (handle->n == 0 || handle->n > NETNS_HANDLE_MAX)
		return -EINVAL;
	memcpy(buffer.handle.f_handle, handle->bytes, handle->n);
	fd = open_by_handle_at(FD_NSFS_ROOT, &buffer.handle,
			       O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
