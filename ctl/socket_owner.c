// SPDX-License-Identifier: Apache-2.0
/* socket_owner.c - which process has a socket */
#include "ctl/socket_owner.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/util.h"

#define LINK_MAX_BYTES 64 /* "socket:[" and a number */

static bool is_number(const char *name)
{
	return name[0] >= '1' && name[0] <= '9';
}

/* Is a descriptor of the process a link to @wanted? */
static bool has_link(int proc_fd, const char *pid, const char *wanted)
{
	char path[NAME_MAX + sizeof("/fd")], text[LINK_MAX_BYTES];
	const struct dirent *entry;
	bool found = false;
	int dir_fd;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/fd", pid); /* fits */
	dir_fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dir_fd, entry->d_name, text,
				       sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		found = strcmp(text, wanted) == 0;
	}
	(void)closedir(dir); /* only read from */
	return found;
}

static void read_command(int proc_fd, const char *pid, char *command)
{
	char path[NAME_MAX + sizeof("/comm")];
	_cleanup_close_ int fd = -1;
	ssize_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/comm", pid); /* fits */
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, command, SOCKET_OWNER_COMMAND_MAX - 1);
	command[n > 0 ? n : 0] = '\0';
	command[strcspn(command, "\n")] = '\0';
	for (char *c = command; *c; c++) {
		if (iscntrl((unsigned char)*c))
			*c = '?'; /* a process chooses its name */
	}
}

bool socket_owner_find(int64_t inode, struct socket_owner *ret_owner)
{
	const struct dirent *entry;
	char wanted[LINK_MAX_BYTES];
	DIR *proc = opendir("/proc");
	bool found = false;

	if (!proc)
		return false;
	(void)snprintf(wanted, sizeof(wanted), "socket:[%" PRId64 "]",
		       inode); /* fits */
	while (!found && (entry = readdir(proc))) {
		if (!is_number(entry->d_name) ||
		    !has_link(dirfd(proc), entry->d_name, wanted))
			continue;
		ret_owner->pid = (pid_t)strtol(entry->d_name, NULL, 10);
		read_command(dirfd(proc), entry->d_name, ret_owner->command);
		found = true;
	}
	(void)closedir(proc); /* only read from */
	return found;
}
