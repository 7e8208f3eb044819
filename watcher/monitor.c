// SPDX-License-Identifier: Apache-2.0
/* monitor.c - nsids, interfaces and addresses of the known namespaces
 *
 * Theory of operation: every namespace gets an nsid in the background, because
 * only with one does the kernel tell when it frees the namespace. Interfaces
 * and addresses are kept once somebody asks for them: first the nsid, so that
 * changes are told, then a listing. An event that is older than the listing
 * is told after it and may undo a change, but then the event of that change
 * is behind it in the queue.
 *
 * nsids are used again. After an assignment the queue may still hold events
 * of the namespace that had this nsid before; its own begin with RTM_NEWNSID,
 * and until that was read (nsid_announced) they are not taken. If the nsid had
 * been assigned by somebody else there is nothing to wait for; in the rare
 * case that old events are queued all the same, the RTM_DELNSID behind them
 * shows it, because a namespace that has a name cannot be freed: then it is
 * listed again.
 *
 * When events were lost all nsids are compared and every observed namespace is
 * listed again, in slices; only differences are told. Who provokes losses
 * gets them repaired with growing pauses. A namespace above the limit of
 * addresses is listed again when it changes, with growing pauses of its own.
 */
#include <fcntl.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/observed.h"
#include "watcher/watcher_internal.h"

#define BUFFER_BYTES (4 * 1024 * 1024)
#define READ_SLICE 16 /* namespaces; about 0.5 ms */
#define NSID_SLICE 32
#define INTERRUPTED_MAX 3 /* listings of one namespace at once */
#define RETRY_US USEC_PER_SEC

static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
				      .burst = 5 };

static void read_unlist(struct watcher *watcher, struct tracked *tracked)
{
	if (tracked->read_state == READ_DUE)
		DL_DELETE2(watcher->read_due, tracked, read_prev, read_next);
	else if (tracked->read_state == READ_HELD)
		DL_DELETE2(watcher->read_held, tracked, read_prev, read_next);
	tracked->read_state = READ_DONE;
}

static void read_at_once(struct watcher *watcher, struct tracked *tracked)
{
	read_unlist(watcher, tracked);
	tracked->read_state = READ_DUE;
	DL_APPEND2(watcher->read_due, tracked, read_prev, read_next);
}

/* What is kept of @tracked may be stale: has it listed, not too often. */
static void read_want(struct watcher *watcher, struct tracked *tracked)
{
	uint64_t now_us = loop_now_us(watcher->loop);

	if (tracked->read_state != READ_DONE)
		return;
	tracked->read_at_us = holdoff_next(&tracked->read_holdoff, now_us);
	if (tracked->read_at_us <= now_us) {
		read_at_once(watcher, tracked);
		return;
	}
	tracked->read_state = READ_HELD;
	DL_APPEND2(watcher->read_held, tracked, read_prev, read_next);
	loop_timer_set_earlier(watcher->monitor_timer, tracked->read_at_us);
}

static void nsid_want(struct watcher *watcher, struct tracked *tracked)
{
	if (tracked->nsid_waiting || tracked->netns.host)
		return;
	tracked->nsid_waiting = true;
	DL_APPEND2(watcher->nsid_waiting, tracked, nsid_prev, nsid_next);
}

static void nsid_unlist(struct watcher *watcher, struct tracked *tracked)
{
	if (tracked->nsid_waiting)
		DL_DELETE2(watcher->nsid_waiting, tracked, nsid_prev,
			   nsid_next);
	tracked->nsid_waiting = false;
}

static int nsid_assign(struct watcher *watcher, struct tracked *tracked)
{
	_cleanup_close_ int fd = watcher_open_netns(watcher, &tracked->netns);
	bool is_new;
	int nsid, r;

	if (fd < 0)
		return fd;
	r = netlink_assign_nsid(watcher->requests, fd, &nsid, &is_new);
	if (r < 0)
		return r;
	r = registry_set_nsid(&watcher->registry, tracked, nsid,
			      /* announced= */ !is_new);
	if (r < 0)
		return r; /* it stays on the list */
	nsid_unlist(watcher, tracked);
	return 0;
}

/* The host may have an nsid in its own table; then its events carry it. */
static void host_nsid_check(struct watcher *watcher)
{
	_cleanup_close_ int fd =
		open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int nsid = NSID_NONE;

	if (fd >= 0 && netlink_get_nsid(watcher->requests, fd, &nsid) == 0)
		(void)registry_set_nsid(&watcher->registry,
					names_host(watcher->names), nsid,
					/* announced= */ true);
}

static bool listing_found(const struct netlink_item *item, void *user_data)
{
	struct observed_listing *listing = user_data;

	switch (item->type) {
	case NETLINK_LINK:
		return observed_listing_link(listing, &item->link);
	case NETLINK_ADDRESS:
		return observed_listing_address(listing, &item->address);
	case NETLINK_LINK_GONE:
	case NETLINK_ADDRESS_GONE:
		break; /* never in a listing */
	}
	return true;
}

/* Return: 0, with *@ret_changed; -EINTR as well, but it must be repeated. */
static int read_listing(struct watcher *watcher, struct tracked *tracked,
			bool *ret_changed)
{
	struct observed_listing listing = { .max = watcher->max_addresses };
	int nsid = tracked->netns.host ? NETLINK_HOST : tracked->nsid;
	int r = -EINTR;

	for (int i = 0; i < INTERRUPTED_MAX && r == -EINTR; i++) {
		observed_listing_done(&listing);
		r = netlink_dump(watcher->requests, nsid, listing_found,
				 &listing);
	}
	if (listing.failed)
		r = -ENOMEM;
	if (r == 0 || r == -EINTR || r == -EFBIG) {
		*ret_changed =
			observed_listing_apply(&listing, &tracked->netns);
		return r == -EFBIG ? 0 : r;
	}
	observed_listing_done(&listing);
	return r;
}

/* The kernel has freed what had its nsid. Is that this namespace? Only if
 * its names lead there no more, and nothing has told so yet. */
static void nsid_lost(struct watcher *watcher, struct tracked *tracked)
{
	(void)registry_set_nsid(&watcher->registry, tracked, NSID_NONE, false);
	names_recheck(watcher->names, tracked, loop_now_us(watcher->loop));
	if (tracked->nameless)
		tracked->freed = true;
	else
		nsid_want(watcher, tracked);
}

static void read_again(struct watcher *watcher, struct tracked *tracked)
{
	bool is_changed = false;
	int r;

	if (tracked->nsid == NSID_NONE && !tracked->netns.host)
		return; /* is read when it has one */
	r = read_listing(watcher, tracked, &is_changed);
	if (is_changed && !tracked->nameless)
		watcher->ops.changed(&tracked->netns, watcher->user_data);
	if (r == 0)
		return;
	if (r == -ESTALE) {
		nsid_lost(watcher, tracked);
		return;
	}
	if (r != -EINTR && log_ratelimit_ok(&limit))
		log_warning_errno(r,
				  "cannot list the addresses of '%s'; "
				  "retrying",
				  netns_label(&tracked->netns));
	read_want(watcher, tracked);
}

static void account_freed(struct watcher *watcher, uint64_t netns_id,
			  uint64_t since_us)
{
	struct watcher_stats *stats = &watcher->stats;
	uint64_t elapsed_us = loop_now_us(watcher->loop) - since_us;

	stats->freed++;
	stats->freed_last_us = elapsed_us;
	if (elapsed_us > stats->freed_max_us)
		stats->freed_max_us = elapsed_us;
	watcher->ops.freed(netns_id, elapsed_us, watcher->user_data);
}

static void lingering_freed(uint64_t netns_id, uint64_t since_us,
			    void *user_data)
{
	account_freed(user_data, netns_id, since_us);
}

static unsigned int apply_item(struct watcher *watcher, struct netns *netns,
			       const struct netlink_item *item)
{
	size_t max = watcher->max_addresses;

	switch (item->type) {
	case NETLINK_LINK:
		return observed_link(netns, &item->link, max);
	case NETLINK_LINK_GONE:
		return observed_link_gone(netns, item->link.ifindex);
	case NETLINK_ADDRESS:
		return observed_address(netns, &item->address, max);
	case NETLINK_ADDRESS_GONE:
		/* There may be another with a different peer. */
		return observed_address_gone(netns, &item->address) |
		       (item->has_peer ? OBSERVED_OMITTED : 0);
	}
	return 0;
}

static void item_told(int nsid, const struct netlink_item *item,
		      void *user_data)
{
	struct watcher *watcher = user_data;
	struct tracked *tracked;
	unsigned int change;

	if (nsid == NETLINK_HOST)
		tracked = names_host(watcher->names);
	else
		tracked = registry_find_nsid(&watcher->registry, nsid);
	if (!tracked || !tracked->netns.addresses_known)
		return;
	if (!tracked->netns.host && !tracked->nsid_announced)
		return; /* of the one that had this nsid before */
	change = apply_item(watcher, &tracked->netns, item);
	if (change & OBSERVED_OMITTED)
		read_want(watcher, tracked);
	if (change & OBSERVED_CHANGED && !tracked->nameless)
		watcher->ops.changed(&tracked->netns, watcher->user_data);
}

static void nsid_new_told(int nsid, void *user_data)
{
	struct watcher *watcher = user_data;
	struct tracked *tracked = registry_find_nsid(&watcher->registry, nsid);

	if (tracked)
		tracked->nsid_announced = true;
	else
		host_nsid_check(watcher);
}

static void nsid_freed_told(int nsid, void *user_data)
{
	struct watcher *watcher = user_data;
	struct tracked *tracked = registry_find_nsid(&watcher->registry, nsid);
	uint64_t netns_id, since_us;

	if (lingering_take_nsid(&watcher->lingering, nsid, &netns_id,
				&since_us)) {
		account_freed(watcher, netns_id, since_us);
		return;
	}
	if (!tracked || tracked->netns.host || !tracked->nsid_announced)
		return;
	nsid_lost(watcher, tracked);
}

static void nsid_listed(int nsid, void *user_data)
{
	struct watcher *watcher = user_data;
	struct tracked *tracked = registry_find_nsid(&watcher->registry, nsid);

	if (tracked)
		tracked->nsid_round = watcher->nsid_round;
	else
		lingering_check_seen(&watcher->lingering, nsid);
}

static int nsids_compare(struct watcher *watcher)
{
	struct tracked *tracked, *next;
	int r;

	watcher->nsid_round++;
	lingering_check_begin(&watcher->lingering);
	r = netlink_list_nsids(watcher->requests, nsid_listed, watcher);
	if (r < 0)
		return r;
	lingering_check_end(&watcher->lingering, lingering_freed, watcher);
	HASH_ITER (by_id, watcher->registry.by_id, tracked, next) {
		tracked->nsid_announced = true;
		if (tracked->nsid != NSID_NONE && !tracked->netns.host &&
		    tracked->nsid_round != watcher->nsid_round)
			nsid_lost(watcher, tracked);
	}
	host_nsid_check(watcher);
	return 0;
}

static void resync(struct watcher *watcher)
{
	struct tracked *tracked;
	int r = nsids_compare(watcher);

	watcher->resync_at_us = 0;
	watcher->stats.resyncs++;
	if (r < 0) {
		if (log_ratelimit_ok(&limit))
			log_warning_errno(r, "cannot list the nsids; retrying");
		watcher->resync_at_us = loop_now_us(watcher->loop) + RETRY_US;
		loop_timer_set_earlier(watcher->monitor_timer,
				       watcher->resync_at_us);
	}
	for (tracked = watcher->registry.by_id; tracked;
	     tracked = tracked->by_id.next) {
		if (tracked->netns.addresses_known)
			read_at_once(watcher, tracked);
	}
}

static void lost_told(void *user_data)
{
	struct watcher *watcher = user_data;
	uint64_t now_us = loop_now_us(watcher->loop), at_us;

	watcher->stats.netlink_overflows++;
	if (watcher->resync_at_us)
		return;
	if (log_ratelimit_ok(&limit))
		log_info("netlink events were lost; reading everything again");
	at_us = holdoff_next(&watcher->resync_holdoff, now_us);
	if (at_us <= now_us) {
		resync(watcher);
	} else {
		watcher->resync_at_us = at_us;
		loop_timer_set_earlier(watcher->monitor_timer, at_us);
	}
}

static const struct netlink_events_ops events_ops = {
	.item = item_told,
	.nsid_new = nsid_new_told,
	.nsid_freed = nsid_freed_told,
	.lost = lost_told,
};

static void monitor_handler(void *user_data)
{
	struct watcher *watcher = user_data;
	uint64_t now_us = loop_now_us(watcher->loop);
	struct tracked *tracked, *next;

	if (watcher->resync_at_us && watcher->resync_at_us <= now_us)
		resync(watcher);
	DL_FOREACH_SAFE2 (watcher->read_held, tracked, next, read_next) {
		if (tracked->read_at_us <= now_us)
			read_at_once(watcher, tracked);
		else
			loop_timer_set_earlier(watcher->monitor_timer,
					       tracked->read_at_us);
	}
	if (watcher->resync_at_us)
		loop_timer_set_earlier(watcher->monitor_timer,
				       watcher->resync_at_us);
	if (watcher->nsid_waiting && watcher->nsid_pause_until_us > now_us)
		loop_timer_set_earlier(watcher->monitor_timer,
				       watcher->nsid_pause_until_us);
}

static void nsid_slice(struct watcher *watcher)
{
	uint64_t now_us = loop_now_us(watcher->loop);
	struct tracked *tracked;

	for (int i = 0; i < NSID_SLICE; i++) {
		int r;

		tracked = watcher->nsid_waiting;
		if (!tracked)
			return;
		r = nsid_assign(watcher, tracked);
		if (r == 0 && tracked->netns.addresses_known)
			read_want(watcher, tracked);
		if (r == -ESTALE)
			nsid_unlist(watcher, tracked); /* goes soon */
		else if (r < 0) {
			if (log_ratelimit_ok(&limit))
				log_warning_errno(
					r, "cannot give '%s' an nsid; retrying",
					netns_label(&tracked->netns));
			watcher->nsid_pause_until_us = now_us + RETRY_US;
			loop_timer_set_earlier(watcher->monitor_timer,
					       watcher->nsid_pause_until_us);
			return;
		}
	}
}

static bool nsid_work(const struct watcher *watcher)
{
	return watcher->nsid_waiting &&
	       watcher->nsid_pause_until_us <= loop_now_us(watcher->loop);
}

bool monitor_step(struct watcher *watcher)
{
	struct tracked *tracked;

	for (int i = 0; i < READ_SLICE && (tracked = watcher->read_due); i++) {
		read_unlist(watcher, tracked);
		read_again(watcher, tracked);
	}
	return watcher->read_due;
}

bool monitor_assign_step(struct watcher *watcher)
{
	if (nsid_work(watcher))
		nsid_slice(watcher);
	return nsid_work(watcher);
}

void monitor_added(struct watcher *watcher, struct tracked *tracked)
{
	int nsid = lingering_take_id(&watcher->lingering, tracked->netns.id);

	if (nsid >= 0 && registry_set_nsid(&watcher->registry, tracked, nsid,
					   /* announced= */ true) == 0)
		return;
	nsid_want(watcher, tracked);
}

void monitor_gone(struct watcher *watcher, struct tracked *tracked)
{
	int r;

	read_unlist(watcher, tracked);
	nsid_unlist(watcher, tracked);
	if (tracked->freed) {
		account_freed(watcher, tracked->netns.id,
			      tracked->nameless_since_us);
	} else if (tracked->nsid != NSID_NONE) {
		r = lingering_add(&watcher->lingering, tracked->netns.id,
				  tracked->nsid, TAKE_PTR(tracked->last_name),
				  tracked->nameless_since_us);
		if (r < 0 && log_ratelimit_ok(&limit))
			log_warning_errno(r, "cannot watch a namespace until "
					     "it is freed; ignoring it");
	}
}

int monitor_observe(struct watcher *watcher, struct tracked *tracked)
{
	bool is_changed;
	int r = 0;

	if (tracked->netns.addresses_known)
		return 0;
	if (tracked->nsid == NSID_NONE && !tracked->netns.host)
		r = nsid_assign(watcher, tracked);
	if (r < 0)
		return r;
	r = read_listing(watcher, tracked, &is_changed);
	if (r == -EINTR)
		read_want(watcher, tracked);
	if (r == -ESTALE)
		nsid_lost(watcher, tracked);
	return r == -EINTR ? 0 : r;
}

int monitor_open(struct watcher *watcher, size_t buffer_bytes)
{
	int r = loop_timer_new(watcher->loop, monitor_handler, watcher,
			       &watcher->monitor_timer);

	if (r == 0)
		r = netlink_events_open(watcher->loop,
					buffer_bytes ? buffer_bytes
						     : BUFFER_BYTES,
					&events_ops, watcher, &watcher->events);
	if (r == 0)
		r = netlink_requests_open(&watcher->requests);
	if (r < 0)
		return r;
	host_nsid_check(watcher);
	return 0;
}

void monitor_close(struct watcher *watcher)
{
	netlink_events_close(watcher->events);
	netlink_requests_close(watcher->requests);
	loop_timer_free(watcher->monitor_timer);
	lingering_done(&watcher->lingering);
}
