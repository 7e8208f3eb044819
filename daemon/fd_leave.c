// SPDX-License-Identifier: Apache-2.0
/* fd_leave.c - listeners for the next berthd, left with the service manager
 *
 * Those of one name go together, as many as one message can carry: systemd
 * tells its bus about each message, which takes it milliseconds.
 *
 * A manager that has no store, or that stops berthd for good, closes what it
 * gets: berthd need not know which it is.
 */
#include "daemon/fd_leave.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binder/binder.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/fd_name.h"
#include "daemon/fd_store.h"
#include "daemon/notify.h"

/* Less than TimeoutStopSec in berthd.service. */
#define LEAVE_US (3 * USEC_PER_SEC)

/* As FileDescriptorStoreMax in berthd.service; for systemd older than 254,
 * which does not say what it is. */
#define DEFAULT_STORE_MAX 1024

/* Of the next berthd's descriptors before it can raise its limit, kept for
 * those that systemd needs to execute it. */
#define RESERVED_FDS 64

/* The next berthd is executed with all names in $LISTEN_FDNAMES, and Linux
 * executes nothing with a longer variable (MAX_ARG_STRLEN, with its name). */
#define NAMES_BYTES_MAX (128 * 1024 - 64)

/**
 * struct leaving - a listener that is to be left
 * @served:	a program has it, too
 * @consumer:	borrowed
 */
struct leaving {
	bool served;
	enum fd_kind kind;
	const char *consumer;
	int fd;
};

/* As many as the manager takes, and can start the next berthd with. */
static size_t store_max(size_t nofile)
{
	const char *text = getenv("FDSTORE");
	size_t possible = nofile > RESERVED_FDS ? nofile - RESERVED_FDS : 0;
	size_t n = DEFAULT_STORE_MAX;
	char *end;

	if (text) {
		n = strtoul(text, &end, 10);
		if (end == text || *end != '\0')
			n = 0;
	}
	possible /= 2; /* systemd duplicates each to its new number */
	return n < possible ? n : possible;
}

static int name_compare(const struct leaving *a, const struct leaving *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->consumer, b->consumer);
}

static int leaving_compare(const void *left, const void *right)
{
	const struct leaving *a = left, *b = right;

	if (a->served != b->served)
		return a->served ? 1 : -1;
	return name_compare(a, b);
}

/* Return: all open listeners, sorted, to be freed; NULL: out of memory. */
static struct leaving *
list_open(struct binder *binder,
	  bool (*served)(const struct listener *listener), size_t *ret_n)
{
	struct listener *listener = NULL;
	struct binder_stats stats;
	struct leaving *list;
	size_t n = 0;

	binder_get_stats(binder, &stats);
	list = calloc(stats.open + 1, sizeof(*list));
	while (list && (listener = binder_next(binder, listener))) {
		/* On Linux before 5.14 the next berthd could not check it. */
		if (listener->state != LISTENER_OPEN || n == stats.open ||
		    adopt_id(listener->fd) != listener->id)
			continue;
		list[n++] = (struct leaving){
			.served = served(listener),
			.kind = fd_kind_of(&listener->endpoint),
			.consumer = listener->service->consumer,
			.fd = listener->fd,
		};
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), leaving_compare);
	*ret_n = n;
	return list;
}

/* Return: how many of the first @n of @list fit, @max at most, when the names
 * have room. */
static size_t how_many(const struct leaving *list, size_t n, size_t max)
{
	size_t bytes = NAMES_BYTES_MAX;
	char name[FD_NAME_MAX];
	size_t i;

	for (i = 0; i < n && i < max; i++) {
		size_t len = strlen(fd_name_fmt(list[i].kind, list[i].consumer,
						name)) +
			     1;

		if (bytes < len)
			break;
		bytes -= len;
	}
	return i;
}

/* Leaves the first ones, which have the same name. Return: how many; -errno. */
static int leave_some(int notify_fd, const struct leaving *list, size_t n,
		      uint64_t deadline_us)
{
	char name[FD_NAME_MAX], text[FD_NAME_MAX + 64];
	int fds[NOTIFY_FDS_MAX], n_fds = 0, r;

	while ((size_t)n_fds < n && n_fds < NOTIFY_FDS_MAX &&
	       name_compare(&list[0], &list[n_fds]) == 0) {
		fds[n_fds] = list[n_fds].fd;
		n_fds++;
	}
	/* Without FDPOLL=0 an error that waits on a UDP socket would make the
	 * manager close it. */
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
		       fd_name_fmt(list->kind, list->consumer,
				   name)); /* fits */
	r = notify_send_until(notify_fd, text, fds, (size_t)n_fds, deadline_us);
	return r < 0 ? r : n_fds;
}

/* Return: 0; -errno; *@ret_sent is set in any case. */
static int leave_all(int notify_fd, const struct leaving *list, size_t n,
		     uint64_t deadline_us, size_t *ret_sent)
{
	size_t sent = 0;
	int r = 0;

	while (r >= 0 && sent < n) {
		r = leave_some(notify_fd, list + sent, n - sent, deadline_us);
		if (r > 0)
			sent += (size_t)r;
	}
	if (r >= 0 && sent > 0)
		r = notify_wait_read(notify_fd, deadline_us);
	*ret_sent = sent;
	return r < 0 ? r : 0;
}

void fd_leave(struct fd_store *store, struct binder *binder,
	      bool (*served)(const struct listener *listener), size_t nofile)
{
	size_t max = store_max(nofile);
	_cleanup_free_ struct leaving *list = NULL;
	_cleanup_close_ int notify_fd = -1;
	uint64_t deadline_us = monotonic_us() + LEAVE_US;
	size_t n_open = 0, sent = 0;
	int r;

	/* It has what it gave, and that may be more than the binder has. */
	if (!fd_store_is_decided(store) || max == 0)
		return;
	r = notify_open(&notify_fd);
	if (r == -ENOENT)
		return;
	list = list_open(binder, served, &n_open);
	if (r == 0 && !list)
		r = -ENOMEM;
	/* First, so that those names do not count. */
	if (r == 0)
		r = fd_store_finish(store, notify_fd, deadline_us);
	if (r == 0)
		r = leave_all(notify_fd, list, how_many(list, n_open, max),
			      deadline_us, &sent);
	if (r < 0)
		log_warning_errno(r,
				  "cannot leave all listeners with the service "
				  "manager, only %zu of %zu",
				  sent, n_open);
	else
		log_info("left %zu of %zu listeners with the service manager",
			 sent, n_open);
}
