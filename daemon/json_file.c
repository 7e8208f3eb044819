// SPDX-License-Identifier: Apache-2.0
/* json_file.c - small JSON files that outlive berthd
 *
 * They lie in the runtime directory, which is gone after a boot: so they need
 * not reach a disk.
 */
#include "daemon/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util.h"

static int read_all(int fd, char *buffer, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buffer + len, size - len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int json_file_load(const char *path, size_t max_bytes, json_t **ret_json)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	json_t *json;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (size_t)st.st_size > max_bytes)
		return -EINVAL;
	text = calloc(1, (size_t)st.st_size);
	if (!text)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)st.st_size);
	if (r < 0)
		return r;
	json = json_loadb(text, (size_t)st.st_size, JSON_REJECT_DUPLICATES,
			  NULL);
	if (!json_is_object(json)) {
		json_decref(json);
		return -EINVAL;
	}
	*ret_json = json;
	return 0;
}

static int other_path(const char *path, char *buffer)
{
	int n = snprintf(buffer, PATH_MAX, "%s.new", path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int json_file_begin(const char *path)
{
	char other[PATH_MAX];
	int fd, r = other_path(path, other);

	if (r < 0)
		return r;
	fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	return fd < 0 ? -errno : fd;
}

int json_file_write(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

int json_file_end(const char *path, int fd, bool whole)
{
	char other[PATH_MAX];
	int r = other_path(path, other);

	(void)close(fd); /* what fails to reach a disk is gone after a boot */
	if (r < 0)
		return r;
	if (whole && rename(other, path) < 0)
		r = -errno;
	if (!whole || r < 0)
		(void)unlink(other); /* it may not be there */
	return r;
}

int json_file_save(const char *path, json_t *json)
{
	_cleanup_free_ char *text = json ? json_dumps(json, JSON_COMPACT)
					 : NULL;
	int fd, r, end;

	json_decref(json);
	if (!text)
		return -ENOMEM;
	fd = json_file_begin(path);
	if (fd < 0)
		return fd;
	r = json_file_write(fd, text);
	end = json_file_end(path, fd, r == 0);
	return r < 0 ? r : end;
}
