// SPDX-License-Identifier: Apache-2.0
/* fd_leave.c - listeners for the next berthd, left with the service manager
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
#define DEFAULT_STORE_MAX 4096

/* The next berthd is executed with all names in $LISTEN_FDNAMES, and Linux
 * executes nothing with a longer variable (MAX_ARG_STRLEN, with its name). */
#define NAMES_BYTES_MAX (128 * 1024 - 64)

/**
 * struct leaving - while listeners are left
 * @n_left, @bytes_left: how many more the manager can take, and how long their
 *		names may be
 */
struct leaving {
	int notify_fd;
	uint64_t deadline_us;
	size_t n_left;
	size_t bytes_left;
	size_t sent;
};

static size_t store_max(void)
{
	const char *text = getenv("FDSTORE");
	unsigned long n;
	char *end;

	if (!text)
		return DEFAULT_STORE_MAX;
	n = strtoul(text, &end, 10);
	return end > text && *end == '\0' ? n : 0;
}

/* Return: 0, also when there is no room for it; -errno. */
static int leave_one(struct leaving *leaving, const struct listener *listener)
{
	const struct adopt_claim claim = {
		.id = listener->id,
		.netns_id = listener->netns_id,
		.endpoint = listener->endpoint,
	};
	char name[FD_NAME_MAX], text[FD_NAME_MAX + 64];
	size_t bytes;
	int r;

	bytes = strlen(fd_name_fmt(&claim, name)) + 1;
	if (leaving->n_left == 0 || leaving->bytes_left < bytes)
		return 0;
	/* On Linux before 5.14 the next berthd could not check what it is. */
	if (adopt_id(listener->fd) != listener->id)
		return 0;
	/* Without FDPOLL=0 an error that waits on a UDP socket would make the
	 * manager close it. */
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
		       name); /* fits */
	r = notify_send_until(leaving->notify_fd, text, listener->fd,
			      leaving->deadline_us);
	if (r < 0)
		return r;
	leaving->n_left--;
	leaving->bytes_left -= bytes;
	leaving->sent++;
	return 0;
}

/* Leaves the listeners that some program has, or those that none has. */
static int leave_some(struct leaving *leaving, struct binder *binder,
		      bool (*served)(const struct listener *listener),
		      bool with_program)
{
	struct listener *listener = NULL;
	int r = 0;

	while (r == 0 && (listener = binder_next(binder, listener))) {
		if (listener->state == LISTENER_OPEN &&
		    served(listener) == with_program)
			r = leave_one(leaving, listener);
	}
	return r;
}

static int leave_all(struct leaving *leaving, struct fd_store *store,
		     struct binder *binder,
		     bool (*served)(const struct listener *listener))
{
	/* So that their names do not count. */
	int r = fd_store_finish(store, leaving->notify_fd,
				leaving->deadline_us);

	if (r == 0)
		r = leave_some(leaving, binder, served, false);
	if (r == 0)
		r = leave_some(leaving, binder, served, true);
	if (r == 0 && leaving->sent > 0)
		r = notify_wait_read(leaving->notify_fd, leaving->deadline_us);
	return r;
}

void fd_leave(struct fd_store *store, struct binder *binder,
	      bool (*served)(const struct listener *listener))
{
	struct leaving leaving = {
		.notify_fd = -1,
		.deadline_us = monotonic_us() + LEAVE_US,
		.n_left = store_max(),
		.bytes_left = NAMES_BYTES_MAX,
	};
	struct binder_stats stats;
	int r;

	/* It has what it gave, and that may be more than the binder has. */
	if (!fd_store_is_decided(store) || leaving.n_left == 0)
		return;
	binder_get_stats(binder, &stats);
	r = notify_open(&leaving.notify_fd);
	if (r == -ENOENT)
		return;
	if (r == 0)
		r = leave_all(&leaving, store, binder, served);
	cleanup_close(&leaving.notify_fd);
	if (r < 0)
		log_warning_errno(r,
				  "cannot leave all listeners with the service "
				  "manager, only %zu of %zu",
				  leaving.sent, stats.open);
	else
		log_info("left %zu of %zu listeners with the service manager",
			 leaving.sent, stats.open);
}
