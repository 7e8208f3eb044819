/* SPDX-License-Identifier: Apache-2.0 */
/* writers.h - files that are being written, in directories that are watched
 *
 * A regular file that was created or modified belongs to its writer until the
 * writer closes it: half a file may well be a valid one. Some writers never
 * close the file as far as inotify tells (truncate(2) opens nothing), and
 * others sleep, so this ends after WRITERS_PATIENCE_US.
 */
#ifndef COMMON_WRITERS_H
#define COMMON_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITERS_PATIENCE_US (UINT64_C(2) * 1000 * 1000)

/* How many files are waited for while they are written. Further ones are read
 * at once, and again when they are closed. */
#define WRITERS_MAX 256

/** struct writer - a file that its writer has not closed yet */
struct writer {
	char *name;
	size_t dir;
	uint64_t deadline_us;
};

/** struct writers - zero is an empty one */
struct writers {
	struct writer list[WRITERS_MAX];
	size_t n;
};

/** writers_done() - forgets all */
void writers_done(struct writers *writers);

/** writers_may_have() - Return: may somebody still write to the file at @path,
 * which was just created? A second hard link to a file, a symbolic link and a
 * directory are complete when they appear. */
bool writers_may_have(const char *path);

/**
 * writers_note() - a file is being written
 * @dir:	of the file, any number
 * @now_us:	monotonic
 *
 * Return: true; false when there is no room: the file is then to be read as it
 * is.
 */
bool writers_note(struct writers *writers, size_t dir, const char *name,
		  uint64_t now_us);

/** writers_has() - Return: is the file being written? */
bool writers_has(const struct writers *writers, size_t dir, const char *name);

/** writers_forget() - the file was closed, or is another one now */
void writers_forget(struct writers *writers, size_t dir, const char *name);

/**
 * writers_expire() - forgets the files whose writers took too long
 * @expired:	is called for each, which is forgotten then; or NULL
 *
 * Return: when the next one takes too long, monotonic; 0: there is none.
 */
uint64_t writers_expire(struct writers *writers, uint64_t now_us,
			void (*expired)(const char *name, void *user_data),
			void *user_data);

#endif
