// SPDX-License-Identifier: Apache-2.0
/* sctp_follow.c - SCTP listeners follow their namespace's sysctls
 *
 * Theory of operation: no event tells that a sysctl changed. So the sysctls are
 * read when the listeners of the namespace are applied (after its events, and a
 * reload). A container's sysctls usually come after the last event of its
 * network, so they are also read some more times after a listener was opened:
 * after a second, and then after pauses that are four times as long each, up to
 * LOOK_LAST_US. Then the namespace costs nothing until its next event.
 *
 * The values are kept for the namespace. When they change, and after the first
 * look, all open SCTP listeners of the namespace get them; associations keep
 * what they have. The options are set on the open socket: a one-to-many
 * endpoint carries its associations, so opening it anew would end them.
 */
#include "binder/sctp_follow.h"

#include <inttypes.h>
#include <utlist.h>

#include "binder/sctp_settings.h"
#include "common/log.h"
#include "common/util.h"

#define LOOK_FIRST_US USEC_PER_SEC
#define LOOK_FACTOR 4
#define LOOK_LAST_US (64 * USEC_PER_SEC)

/* Namespaces looked at in one wake-up: some tenths of a millisecond each. */
#define LOOK_SLICE 8

static bool is_open_sctp(const struct binder_row *row)
{
	return row->listener.state == LISTENER_OPEN &&
	       protocol_is_sctp(row->listener.endpoint.protocol);
}

static void give_settings(struct binder_sctp *sctp, struct binder_netns *netns)
{
	struct binder_row *row;
	size_t n = 0;
	int r = 0, failed;

	DL_FOREACH (netns->rows, row) {
		if (!is_open_sctp(row))
			continue;
		failed = sctp_settings_apply(row->listener.fd, netns->sctp);
		r = r < 0 ? r : failed;
		n++;
	}
	if (n == 0 || !log_teller_ok(sctp->teller,
				     "netns %" PRIu64 ": net.sctp", netns->id))
		return;
	if (r < 0)
		log_warning_errno(-r,
				  "netns %" PRIu64 ": net.sctp sysctls were "
				  "changed, but cannot all be set on its SCTP "
				  "listeners; ignoring those",
				  netns->id);
	else
		log_info("netns %" PRIu64 ": net.sctp sysctls were changed; "
			 "new associations of its SCTP listeners use them",
			 netns->id);
}

/* Reads the sysctls, and gives them to the listeners if they changed. Return:
 * 0; -errno: the namespace is on its way out, or memory is short. */
static int look(struct binder_sctp *sctp, struct binder_netns *netns)
{
	_cleanup_close_ int netns_fd = -1;
	struct sctp_settings now;
	bool changed;
	int r;

	r = sctp->ops->open_netns(netns->id, &netns_fd, sctp->user_data);
	if (r == 0)
		r = sctp_settings_read(netns_fd, &now);
	if (r < 0)
		return r;
	/* A listener opened before the first look may have other values. */
	changed = !netns->sctp || !sctp_settings_equal(netns->sctp, &now);
	if (!netns->sctp)
		netns->sctp = malloc(sizeof(*netns->sctp));
	if (!netns->sctp)
		return -ENOMEM;
	*netns->sctp = now;
	if (changed)
		give_settings(sctp, netns);
	return 0;
}

static void look_at(struct binder_sctp *sctp, struct binder_netns *netns,
		    uint64_t at_us)
{
	netns->sctp_look_us = at_us;
	loop_timer_set_earlier(sctp->timer, at_us);
}

void binder_sctp_opened(struct binder_sctp *sctp, struct binder_netns *netns)
{
	netns->sctp_pause_us = LOOK_FIRST_US;
	look_at(sctp, netns, loop_now_us(sctp->loop) + LOOK_FIRST_US);
}

void binder_sctp_follow(struct binder_sctp *sctp, struct binder_netns *netns)
{
	(void)look(sctp, netns); /* there is a next time */
}

static void look_again(struct binder_sctp *sctp, struct binder_netns *netns)
{
	netns->sctp_look_us = 0;
	(void)look(sctp, netns); /* there is a next time */
	netns->sctp_pause_us *= LOOK_FACTOR;
	if (netns->sctp_pause_us <= LOOK_LAST_US)
		look_at(sctp, netns,
			loop_now_us(sctp->loop) + netns->sctp_pause_us);
}

static void look_due(void *user_data)
{
	struct binder_sctp *sctp = user_data;
	uint64_t now_us = loop_now_us(sctp->loop);
	struct binder_netns *netns, *next;
	int budget = LOOK_SLICE;

	HASH_ITER (hh, sctp->table->netns, netns, next) {
		if (netns->sctp_look_us == 0)
			continue;
		if (netns->sctp_look_us > now_us || budget == 0) {
			loop_timer_set_earlier(sctp->timer,
					       netns->sctp_look_us);
			continue;
		}
		budget--;
		look_again(sctp, netns);
	}
}

int binder_sctp_init(struct binder_sctp *sctp)
{
	return loop_timer_new(sctp->loop, look_due, sctp, &sctp->timer);
}

void binder_sctp_done(struct binder_sctp *sctp)
{
	sctp->timer = loop_timer_free(sctp->timer);
}
