// SPDX-License-Identifier: Apache-2.0
/* known.c - which consumers an earlier berthd had, by a file
 *
 * A pid alone means nothing: the process may have ended, and another one have
 * its number. With the time of its start it is told apart.
 */
#include "daemon/consumers/known.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "common/util.h"
#include "daemon/json_build.h"
#include "daemon/json_file.h"

/* KNOWN_MAX of the longest names, each byte of which may be written as six. */
#define FILE_BYTES_MAX (1024 * 1024)

/* In /proc/PID/stat, counted from behind the program's name in brackets, which
 * may have any character itself. See proc_pid_stat(5). */
#define FIELD_STARTED 20

uint64_t known_started(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[32], text[1024], *field, *end;
	unsigned long long started;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	field = strrchr(text, ')');
	for (int i = 0; field && i < FIELD_STARTED; i++)
		field = strchr(field + 1, ' ');
	if (!field)
		return 0;
	started = strtoull(field + 1, &end, 10);
	return end == field + 1 ? 0 : started;
}

static int read_one(json_t *json, struct known_consumer *ret)
{
	json_int_t pid, started;
	const char *name;
	size_t len;

	if (json_unpack(json, "{s:s%, s:I, s:I}", "name", &name, &len, "pid",
			&pid, "started", &started) < 0 ||
	    len == 0 || len >= KNOWN_NAME_MAX || pid <= 0 || pid > INT_MAX ||
	    started <= 0)
		return -EINVAL;
	*ret = (struct known_consumer){
		.pid = (pid_t)pid,
		.started = (uint64_t)started,
	};
	memcpy(ret->name, name, len);
	return 0;
}

static int read_list(const json_t *list, struct known_consumer *ret_list)
{
	size_t n = json_array_size(list);
	int found = 0;

	if (!json_is_array(list) || n > KNOWN_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		struct known_consumer one;

		if (read_one(json_array_get(list, i), &one) < 0)
			return -EINVAL;
		if (known_started(one.pid) == one.started)
			ret_list[found++] = one;
	}
	return found;
}

int known_load(const char *path, struct known_consumer *ret_list)
{
	json_t *json;
	int r = json_file_load(path, FILE_BYTES_MAX, &json);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = read_list(json_object_get(json, "consumers"), ret_list);
	json_decref(json);
	return r;
}

int known_save(const char *path, const struct known_consumer *list, size_t n)
{
	json_t *consumers = json_array(), *json = json_object();

	for (size_t i = 0; i < n && i < KNOWN_MAX; i++) {
		json_t *one = json_object();

		json_put(&one, "name", json_text(list[i].name));
		json_put(&one, "pid", json_integer(list[i].pid));
		json_put(&one, "started", json_count(list[i].started));
		json_add(&consumers, one);
	}
	json_put(&json, "consumers", consumers);
	return json_file_save(path, json);
}
