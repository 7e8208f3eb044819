// SPDX-License-Identifier: Apache-2.0
/* owner.c - whose is a namespace, and whose a process? */
#include "watcher/owner.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/util.h"

#define OVERFLOW_PATH "/proc/sys/kernel/overflowuid"
#define MAP_PATH "/proc/self/uid_map"

/* The map of a user namespace in which each number means what it does outside:
 * that of the first one. */
#define MAP_ALL 4294967295ul

static bool read_text(const char *path, char *buffer, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (n < 0)
		return false;
	buffer[n] = '\0';
	return true;
}

/* The text is three numbers: the first ones inside and outside, and how many.
 */
static bool all_are_mapped(void)
{
	char text[256], *rest = text;
	unsigned long inside, outside;

	if (!read_text(MAP_PATH, text, sizeof(text)))
		return false;
	inside = strtoul(rest, &rest, 10);
	outside = strtoul(rest, &rest, 10);
	return inside == 0 && outside == 0 &&
	       strtoul(rest, NULL, 10) == MAP_ALL;
}

bool owner_is_known(uid_t uid)
{
	char text[32];

	if (!read_text(OVERFLOW_PATH, text, sizeof(text)))
		return false;
	return strtoul(text, NULL, 10) != uid || all_are_mapped();
}

bool owner_has_netns(int netns_fd, uid_t uid)
{
	_cleanup_close_ int user_fd = ioctl(netns_fd, NS_GET_USERNS);
	uid_t owner;

	return user_fd >= 0 && ioctl(user_fd, NS_GET_OWNER_UID, &owner) == 0 &&
	       owner == uid && owner_is_known(uid);
}

bool owner_has_process(pid_t pid, int pid_fd, uid_t uid)
{
	struct pollfd poll_fd = { .fd = pid_fd, .events = POLLIN };
	char path[sizeof("/proc/-2147483648")];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid); /* fits */
	/* Afterwards it still lives: so it was the one that was looked at. */
	return stat(path, &st) == 0 && st.st_uid == uid &&
	       poll(&poll_fd, 1, 0) == 0 && owner_is_known(uid);
}
