// SPDX-License-Identifier: Apache-2.0
/* writers.c - files that are being written, in directories that are watched */
#include "common/writers.h"

#include <string.h>
#include <sys/stat.h>

#include "common/util.h"

static size_t find(const struct writers *writers, size_t dir, const char *name)
{
	size_t i = 0;

	while (i < writers->n && (writers->list[i].dir != dir ||
				  strcmp(writers->list[i].name, name) != 0))
		i++;
	return i;
}

static void remove_at(struct writers *writers, size_t i)
{
	free(writers->list[i].name);
	writers->list[i] = writers->list[--writers->n];
}

void writers_done(struct writers *writers)
{
	while (writers->n > 0)
		remove_at(writers, 0);
}

bool writers_may_have(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

bool writers_note(struct writers *writers, size_t dir, const char *name,
		  uint64_t now_us)
{
	struct writer *writer;

	if (writers_has(writers, dir, name))
		return true;
	if (writers->n >= WRITERS_MAX)
		return false;
	writer = &writers->list[writers->n];
	writer->name = strdup(name);
	if (!writer->name)
		return false;
	writer->dir = dir;
	writer->deadline_us = now_us + WRITERS_PATIENCE_US;
	writers->n++;
	return true;
}

bool writers_has(const struct writers *writers, size_t dir, const char *name)
{
	return find(writers, dir, name) < writers->n;
}

void writers_forget(struct writers *writers, size_t dir, const char *name)
{
	size_t i = find(writers, dir, name);

	if (i < writers->n)
		remove_at(writers, i);
}

uint64_t writers_expire(struct writers *writers, uint64_t now_us,
			void (*expired)(const char *name, void *user_data),
			void *user_data)
{
	uint64_t next_us = 0;
	size_t i = 0;

	while (i < writers->n) {
		uint64_t deadline_us = writers->list[i].deadline_us;

		if (deadline_us <= now_us) {
			if (expired)
				expired(writers->list[i].name, user_data);
			remove_at(writers, i);
			continue;
		}
		if (next_us == 0 || deadline_us < next_us)
			next_us = deadline_us;
		i++;
	}
	return next_us;
}
