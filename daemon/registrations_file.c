// SPDX-License-Identifier: Apache-2.0
/* registrations_file.c - registrations outlive berthd in a file
 *
 * The file is written after the first change at once, because berthd may be
 * killed at any time. When there are many it is written in slices: the ids are
 * noted at the beginning, and what came, went or changed meanwhile is for the
 * next time. That is not before a rest, which is longer the longer the writing
 * took.
 */
#include "daemon/registrations_file.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "daemon/json_file.h"
#include "daemon/registrations_text.h"
#include "watcher/watcher.h"

#define SLICE 64 /* about 0.5 ms */
#define REST_FACTOR 20 /* writing takes 5 % of a processor at the most */
#define REST_MIN_US (20 * USEC_PER_MSEC)

/* As much as thousands of containers take with all their labels. Those beyond
 * are not kept. */
#define FILE_BYTES_MAX (64u * 1024 * 1024)

/**
 * struct registrations_file - see registrations_file.h
 * @due:	it is to be written, now or after @timer's rest
 * @fd:		of the file at work, or -1
 * @ids:	those that are to be in it, @n of them; @next is the next one
 * @bytes:	that it has so far
 * @took_us:	how long its slices took so far
 * @error:	0, or the errno of the last attempt, which was logged
 */
struct registrations_file {
	struct loop *loop;
	struct watcher *watcher;
	struct loop_timer *timer;
	char *path;
	bool due;
	int fd;
	uint64_t *ids;
	size_t n, next;
	size_t bytes;
	uint64_t took_us;
	int error;
};

static void rest_over(void *user_data)
{
	(void)user_data; /* the next step begins */
}

static void restore_one(struct registrations_file *file, const json_t *json)
{
	static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
					      .burst = 20 };
	struct registration_kept kept;
	const char *reason = "is none of berthd's";
	int r = registrations_text_read(json, &kept);

	if (r == 0) {
		r = watcher_restore_registration(file->watcher,
						 &kept.registration, &reason);
		if (r < 0 && log_ratelimit_ok(&limit))
			log_info("registration of container '%s' is forgotten: "
				 "%s",
				 kept.container.name, reason);
		registration_kept_done(&kept);
	} else if (log_ratelimit_ok(&limit)) {
		log_warning("'%s': a registration %s", file->path, reason);
	}
}

static void restore(struct registrations_file *file)
{
	json_t *json = NULL, *list, *one;
	int r = json_file_load(file->path, FILE_BYTES_MAX, &json);
	size_t i;

	if (r < 0 && r != -ENOENT)
		log_warning_errno(r,
				  "cannot read '%s'; containers must be "
				  "registered anew",
				  file->path);
	if (r < 0)
		return;
	list = json_object_get(json, "registrations");
	json_array_foreach (list, i, one) {
		restore_one(file, one);
	}
	json_decref(json);
	file->due = true; /* some may be gone */
}

int registrations_file_new(struct loop *loop, const char *runtime_dir,
			   struct watcher *watcher,
			   struct registrations_file **ret_file)
{
	struct registrations_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->fd = -1;
	file->loop = loop;
	file->watcher = watcher;
	if (asprintf(&file->path, "%s/registrations.json", runtime_dir) < 0)
		file->path = NULL; /* asprintf(3) leaves it undefined */
	if (!file->path ||
	    loop_timer_new(loop, rest_over, file, &file->timer) < 0) {
		free(file->path);
		free(file);
		return -ENOMEM;
	}
	restore(file);
	*ret_file = file;
	return 0;
}

void registrations_file_changed(struct registrations_file *file)
{
	file->due = true;
}

static int begin(struct registrations_file *file)
{
	const struct registration *one = NULL;
	size_t held, n = watcher_registration_count(file->watcher, &held);

	file->n = file->next = file->bytes = 0;
	file->took_us = 0;
	free(file->ids);
	file->ids = calloc(n + 1, sizeof(*file->ids));
	if (!file->ids)
		return -ENOMEM;
	while ((one = watcher_next_registration(file->watcher, one))) {
		if (!one->transient)
			file->ids[file->n++] = one->id;
	}
	file->fd = json_file_begin(file->path);
	if (file->fd < 0)
		return TAKE_FD(file->fd);
	return json_file_write(file->fd, "{\"registrations\":[\n");
}

/* Return: 0, also for one that has ended or finds no room; -errno. */
static int write_one(struct registrations_file *file, uint64_t id)
{
	const struct registration *one =
		watcher_find_registration(file->watcher, id);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!one)
		return 0;
	text = registrations_text_write(one);
	if (!text)
		return -ENOMEM;
	len = strlen(text) + sizeof(",\n");
	if (len > FILE_BYTES_MAX / 2 || file->bytes > FILE_BYTES_MAX - 2 * len)
		return 0;
	r = file->bytes ? json_file_write(file->fd, ",\n") : 0;
	if (r == 0)
		r = json_file_write(file->fd, text);
	file->bytes += len;
	return r;
}

/* The file at work is complete, or given up. */
static void finish(struct registrations_file *file, int r)
{
	uint64_t rest_us = file->took_us * REST_FACTOR;

	if (r == 0)
		r = json_file_write(file->fd, "\n]}\n");
	if (file->fd >= 0) {
		int end = json_file_end(file->path, TAKE_FD(file->fd), r == 0);

		r = r < 0 ? r : end;
	}
	free(TAKE_PTR(file->ids));
	if (r < 0 && r != file->error)
		log_warning_errno(r,
				  "cannot write '%s'; containers must be "
				  "registered anew if berthd is started anew",
				  file->path);
	file->error = r;
	file->due = file->due || r < 0;
	loop_timer_set(file->timer,
		       loop_now_us(file->loop) + (r < 0 ? USEC_PER_SEC
						  : rest_us > REST_MIN_US
							  ? rest_us
							  : REST_MIN_US));
}

bool registrations_file_step(struct registrations_file *file)
{
	uint64_t begin_us = monotonic_us();
	int r = 0;

	if (file->fd < 0) {
		if (!file->due || loop_timer_is_set(file->timer))
			return false;
		file->due = false;
		r = begin(file);
	}
	for (int i = 0; i < SLICE && r == 0 && file->next < file->n; i++)
		r = write_one(file, file->ids[file->next++]);
	file->took_us += monotonic_us() - begin_us;
	if (r < 0 || file->next == file->n)
		finish(file, r);
	return file->fd >= 0;
}

struct registrations_file *
registrations_file_free(struct registrations_file *file)
{
	if (!file)
		return NULL;
	loop_timer_unset(file->timer);
	while (registrations_file_step(file))
		;
	loop_timer_unset(file->timer);
	/* What changed while it was written. */
	while (!file->error && registrations_file_step(file))
		;
	loop_timer_free(file->timer);
	free(file->path);
	free(file);
	return NULL;
}
