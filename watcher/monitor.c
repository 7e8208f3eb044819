// SPDX-License-Identifier: Apache-2.0
/* monitor.c - nsids, interfaces and addresses of the known namespaces
 *
 * Theory of operation: every namespace gets an nsid in the background, because
 * the kernel tells that it frees a namespace only if that has one. Interfaces
 * and addresses are kept once a plan needs them, addresses alone once somebody
 * wants to see them (then nobody is told of changes): first the nsid is
 * assigned, so that changes are told, then they are listed. An event that is
 * older than the listing is read after it and may undo a change, but then the
 * event of that change is behind it in the queue.
 *
 * The kernel uses nsids again. After an assignment the queue may still hold
 * events of the namespace that had this nsid before. The events of the new one
 * begin with RTM_NEWNSID, and until that was read (nsid_announced) they are
 * ignored. If another program had assigned the nsid, there is no such event to
 * wait for. In the rare case that old events are queued all the same, an
 * RTM_DELNSID is behind them. A namespace that has a name cannot be freed, so
 * that event shows what happened, and the namespace is listed again.
 *
 * When events were lost, all nsids are compared, and every observed namespace
 * is listed again, in slices; only differences are told. Addresses that are
 * only shown are forgotten until somebody asks again. Containers can provoke
 * losses, so the pauses between two of these repairs grow. A namespace that is
 * above the limit of addresses is listed again when it changes, with growing
 * pauses of its own.
 */
#include "watcher/monitor.h"

#include <fcntl.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/lingering.h"
#include "watcher/netlink_events.h"
#include "watcher/netlink_requests.h"
#include "watcher/observed.h"

#define BUFFER_BYTES (4 * 1024 * 1024)
#define READ_SLICE 16 /* namespaces; about 0.5 ms */
#define NSID_SLICE 32
#define INTERRUPTED_MAX 3 /* listings of one namespace, one after the other */
#define RETRY_US USEC_PER_SEC

/**
 * struct monitor - see monitor.h
 * @stats:	those that monitor_get_stats() fills in, but netlink_events
 * @read_due:	namespaces to be listed in one of the next slices
 * @read_held:	namespaces to be listed after their hold-off
 * @nsid_waiting: namespaces that wait for an nsid
 * @nsid_pause_until_us: none is assigned before this: the last one failed
 * @nsid_round:	the number of the last check of all nsids
 * @resync_at_us: when to read everything again; 0: not wanted
 * @timer:	for the earliest of all these times
 */
struct monitor {
	struct loop *loop;
	struct registry *registry;
	const struct monitor_ops *ops;
	void *user_data;
	size_t max_addresses;
	const struct news_teller *news;
	struct netlink_events *events;
	struct netlink_requests *requests;
	struct lingering lingering;
	struct watcher_stats stats;
	struct tracked *read_due;
	struct tracked *read_held;
	struct tracked *nsid_waiting;
	uint64_t nsid_pause_until_us;
	unsigned long nsid_round;
	struct holdoff resync_holdoff;
	uint64_t resync_at_us;
	struct loop_timer *timer;
};

static struct log_ratelimit limit = { .interval_us = 60 * USEC_PER_SEC,
				      .burst = 5 };

static void read_unlist(struct monitor *monitor, struct tracked *tracked)
{
	if (tracked->read_state == READ_DUE)
		DL_DELETE2(monitor->read_due, tracked, read_prev, read_next);
	else if (tracked->read_state == READ_HELD)
		DL_DELETE2(monitor->read_held, tracked, read_prev, read_next);
	tracked->read_state = READ_DONE;
}

static void read_at_once(struct monitor *monitor, struct tracked *tracked)
{
	read_unlist(monitor, tracked);
	tracked->read_state = READ_DUE;
	DL_APPEND2(monitor->read_due, tracked, read_prev, read_next);
}

/* What is kept of @tracked may be stale: wants it listed, not too often. */
static void read_want(struct monitor *monitor, struct tracked *tracked)
{
	uint64_t now_us = loop_now_us(monitor->loop);

	if (tracked->read_state != READ_DONE)
		return;
	tracked->read_at_us = holdoff_next(&tracked->read_holdoff, now_us);
	if (tracked->read_at_us <= now_us) {
		read_at_once(monitor, tracked);
		return;
	}
	tracked->read_state = READ_HELD;
	DL_APPEND2(monitor->read_held, tracked, read_prev, read_next);
	loop_timer_set_earlier(monitor->timer, tracked->read_at_us);
}

static void nsid_want(struct monitor *monitor, struct tracked *tracked)
{
	if (tracked->nsid_waiting || tracked->netns.host)
		return;
	tracked->nsid_waiting = true;
	DL_APPEND2(monitor->nsid_waiting, tracked, nsid_prev, nsid_next);
}

static void nsid_unlist(struct monitor *monitor, struct tracked *tracked)
{
	if (tracked->nsid_waiting)
		DL_DELETE2(monitor->nsid_waiting, tracked, nsid_prev,
			   nsid_next);
	tracked->nsid_waiting = false;
}

static int nsid_assign(struct monitor *monitor, struct tracked *tracked)
{
	_cleanup_close_ int fd =
		monitor->ops->open_netns(tracked, monitor->user_data);
	bool is_new;
	int nsid, r;

	if (fd < 0)
		return fd;
	r = netlink_assign_nsid(monitor->requests, fd, &nsid, &is_new);
	if (r < 0)
		return r;
	r = registry_set_nsid(monitor->registry, tracked, nsid,
			      /* announced= */ !is_new);
	if (r < 0)
		return r; /* stays in the list of nsid_waiting */
	nsid_unlist(monitor, tracked);
	return 0;
}

/* The host may have an nsid in its own table; then its events carry it. */
static void host_nsid_check(struct monitor *monitor)
{
	_cleanup_close_ int fd =
		open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int nsid = NSID_NONE;

	if (fd >= 0 && netlink_get_nsid(monitor->requests, fd, &nsid) == 0)
		(void)registry_set_nsid(monitor->registry,
					monitor->registry->host, nsid,
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

/* Lists @tracked, its interfaces only with @links, and keeps what was found.
 * Return: 0; -EINTR: things changed meanwhile, and the listing must be
 * repeated;
 * *@ret_changed is set by both. Other -errno: nothing was kept. */
static int read_listing(struct monitor *monitor, struct tracked *tracked,
			bool links, bool *ret_changed)
{
	struct observed_listing listing = { .max = monitor->max_addresses };
	struct news_before before;
	int nsid = tracked->netns.host ? NETLINK_HOST : tracked->nsid;
	int r = -EINTR;

	for (int i = 0; i < INTERRUPTED_MAX && r == -EINTR; i++) {
		observed_listing_done(&listing);
		r = (links ? netlink_dump : netlink_dump_addresses)(
			monitor->requests, nsid, listing_found, &listing);
	}
	if (listing.failed)
		r = -ENOMEM;
	if (r == 0 || r == -EINTR || r == -EFBIG) {
		news_addresses_before(monitor->news, &tracked->netns, &before);
		*ret_changed =
			observed_listing_apply(&listing, &tracked->netns);
		news_addresses_after(monitor->news, &tracked->netns, &before);
		return r == -EFBIG ? 0 : r;
	}
	observed_listing_done(&listing);
	return r;
}

/* The kernel has freed the namespace that had the nsid of @tracked. That is
 * @tracked itself only if none of its names leads to it any more. */
static void nsid_lost(struct monitor *monitor, struct tracked *tracked)
{
	(void)registry_set_nsid(monitor->registry, tracked, NSID_NONE, false);
	monitor->ops->recheck(tracked, monitor->user_data);
	if (tracked->nameless)
		tracked->freed = true;
	else
		nsid_want(monitor, tracked);
}

static void tell_changed(struct monitor *monitor, struct tracked *tracked)
{
	if (tracked->netns.observed && !tracked->nameless)
		monitor->ops->changed(tracked, monitor->user_data);
}

static void read_again(struct monitor *monitor, struct tracked *tracked)
{
	bool is_changed = false;
	int r;

	if (tracked->nsid == NSID_NONE && !tracked->netns.host)
		return; /* it is listed when it has an nsid */
	r = read_listing(monitor, tracked, tracked->netns.observed,
			 &is_changed);
	if (is_changed)
		tell_changed(monitor, tracked);
	if (r == 0)
		return;
	if (r == -ESTALE) {
		nsid_lost(monitor, tracked);
		return;
	}
	if (r != -EINTR && log_ratelimit_ok(&limit))
		log_warning_errno(r,
				  "cannot list the addresses of '%s'; "
				  "retrying",
				  netns_label(&tracked->netns));
	read_want(monitor, tracked);
}

static void account_freed(struct monitor *monitor, uint64_t netns_id,
			  uint64_t since_us)
{
	struct watcher_stats *stats = &monitor->stats;
	uint64_t elapsed_us = loop_now_us(monitor->loop) - since_us;

	stats->freed++;
	stats->freed_last_us = elapsed_us;
	if (elapsed_us > stats->freed_max_us)
		stats->freed_max_us = elapsed_us;
	monitor->ops->freed(netns_id, elapsed_us, monitor->user_data);
}

static void remnant_freed(uint64_t netns_id, uint64_t since_us, void *user_data)
{
	account_freed(user_data, netns_id, since_us);
}

static unsigned int apply_item(struct monitor *monitor, struct netns *netns,
			       const struct netlink_item *item)
{
	size_t max = monitor->max_addresses;

	switch (item->type) {
	case NETLINK_LINK:
		return netns->observed ? observed_link(netns, &item->link, max)
				       : 0;
	case NETLINK_LINK_GONE:
		return observed_link_gone(netns, item->link.ifindex);
	case NETLINK_ADDRESS:
		return observed_address(netns, &item->address, max);
	case NETLINK_ADDRESS_GONE:
		/* There may be another one with a different peer. */
		return observed_address_gone(netns, &item->address) |
		       (item->has_peer ? OBSERVED_OMITTED : 0);
	}
	return 0;
}

static void item_told(int nsid, const struct netlink_item *item,
		      void *user_data)
{
	struct monitor *monitor = user_data;
	struct tracked *tracked;
	struct news_before before;
	unsigned int change;

	if (nsid == NETLINK_HOST)
		tracked = monitor->registry->host;
	else
		tracked = registry_find_nsid(monitor->registry, nsid);
	if (!tracked || !tracked->netns.addresses_known)
		return;
	if (!tracked->netns.host && !tracked->nsid_announced)
		return; /* about the namespace that had this nsid before */
	news_addresses_before(monitor->news, &tracked->netns, &before);
	change = apply_item(monitor, &tracked->netns, item);
	news_addresses_after(monitor->news, &tracked->netns, &before);
	if (change & OBSERVED_OMITTED)
		read_want(monitor, tracked);
	if (change & OBSERVED_CHANGED)
		tell_changed(monitor, tracked);
}

static void nsid_new_told(int nsid, void *user_data)
{
	struct monitor *monitor = user_data;
	struct tracked *tracked = registry_find_nsid(monitor->registry, nsid);

	if (tracked)
		tracked->nsid_announced = true;
	else
		host_nsid_check(monitor);
}

static void nsid_freed_told(int nsid, void *user_data)
{
	struct monitor *monitor = user_data;
	struct tracked *tracked = registry_find_nsid(monitor->registry, nsid);

	if (lingering_freed(&monitor->lingering, nsid, remnant_freed, monitor))
		return;
	if (!tracked || tracked->netns.host || !tracked->nsid_announced)
		return;
	nsid_lost(monitor, tracked);
}

static void nsid_listed(int nsid, void *user_data)
{
	struct monitor *monitor = user_data;
	struct tracked *tracked = registry_find_nsid(monitor->registry, nsid);

	if (tracked)
		tracked->nsid_round = monitor->nsid_round;
	else
		lingering_check_seen(&monitor->lingering, nsid);
}

static int nsids_compare(struct monitor *monitor)
{
	struct tracked *tracked, *next;
	int r;

	monitor->nsid_round++;
	lingering_check_begin(&monitor->lingering);
	r = netlink_list_nsids(monitor->requests, nsid_listed, monitor);
	if (r < 0)
		return r;
	lingering_check_end(&monitor->lingering, remnant_freed, monitor);
	HASH_ITER (by_id, monitor->registry->by_id, tracked, next) {
		tracked->nsid_announced = true;
		if (tracked->nsid != NSID_NONE && !tracked->netns.host &&
		    tracked->nsid_round != monitor->nsid_round)
			nsid_lost(monitor, tracked);
	}
	host_nsid_check(monitor);
	return 0;
}

static void read_all(struct monitor *monitor)
{
	struct tracked *tracked;

	for (tracked = monitor->registry->by_id; tracked;
	     tracked = tracked->by_id.next) {
		if (tracked->netns.observed)
			read_at_once(monitor, tracked);
		else
			observed_forget(&tracked->netns);
	}
}

static void resync(struct monitor *monitor)
{
	int r = nsids_compare(monitor);

	monitor->resync_at_us = 0;
	monitor->stats.resyncs++;
	if (r < 0) {
		if (log_ratelimit_ok(&limit))
			log_warning_errno(r, "cannot list the nsids; retrying");
		monitor->resync_at_us = loop_now_us(monitor->loop) + RETRY_US;
		loop_timer_set_earlier(monitor->timer, monitor->resync_at_us);
	}
	read_all(monitor);
}

static void lost_told(void *user_data)
{
	struct monitor *monitor = user_data;
	uint64_t now_us = loop_now_us(monitor->loop), at_us;

	monitor->stats.netlink_overflows++;
	if (monitor->resync_at_us)
		return;
	if (log_ratelimit_ok(&limit))
		log_info("netlink events were lost; reading everything again");
	at_us = holdoff_next(&monitor->resync_holdoff, now_us);
	if (at_us <= now_us) {
		resync(monitor);
	} else {
		monitor->resync_at_us = at_us;
		loop_timer_set_earlier(monitor->timer, at_us);
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
	struct monitor *monitor = user_data;
	uint64_t now_us = loop_now_us(monitor->loop);
	struct tracked *tracked, *next;

	if (monitor->resync_at_us && monitor->resync_at_us <= now_us)
		resync(monitor);
	DL_FOREACH_SAFE2 (monitor->read_held, tracked, next, read_next) {
		if (tracked->read_at_us <= now_us)
			read_at_once(monitor, tracked);
		else
			loop_timer_set_earlier(monitor->timer,
					       tracked->read_at_us);
	}
	if (monitor->resync_at_us)
		loop_timer_set_earlier(monitor->timer, monitor->resync_at_us);
	if (monitor->nsid_waiting && monitor->nsid_pause_until_us > now_us)
		loop_timer_set_earlier(monitor->timer,
				       monitor->nsid_pause_until_us);
}

static void nsid_slice(struct monitor *monitor)
{
	uint64_t now_us = loop_now_us(monitor->loop);
	struct tracked *tracked;

	for (int i = 0; i < NSID_SLICE; i++) {
		int r;

		tracked = monitor->nsid_waiting;
		if (!tracked)
			return;
		r = nsid_assign(monitor, tracked);
		if (r == 0 && tracked->netns.addresses_known)
			read_want(monitor, tracked);
		if (r == -ESTALE)
			nsid_unlist(monitor, tracked); /* it goes soon */
		else if (r < 0) {
			if (log_ratelimit_ok(&limit))
				log_warning_errno(
					r, "cannot give '%s' an nsid; retrying",
					netns_label(&tracked->netns));
			monitor->nsid_pause_until_us = now_us + RETRY_US;
			loop_timer_set_earlier(monitor->timer,
					       monitor->nsid_pause_until_us);
			return;
		}
	}
}

static bool nsid_work(const struct monitor *monitor)
{
	return monitor->nsid_waiting &&
	       monitor->nsid_pause_until_us <= loop_now_us(monitor->loop);
}

bool monitor_step(struct monitor *monitor)
{
	struct tracked *tracked;

	for (int i = 0; i < READ_SLICE && (tracked = monitor->read_due); i++) {
		read_unlist(monitor, tracked);
		read_again(monitor, tracked);
	}
	return monitor->read_due;
}

bool monitor_assign_step(struct monitor *monitor)
{
	if (nsid_work(monitor))
		nsid_slice(monitor);
	return nsid_work(monitor);
}

void monitor_added(struct monitor *monitor, struct tracked *tracked)
{
	int nsid;

	if (tracked->nsid != NSID_NONE || tracked->nsid_waiting)
		return;
	nsid = lingering_take_id(&monitor->lingering, tracked->netns.id);
	if (nsid >= 0 && registry_set_nsid(monitor->registry, tracked, nsid,
					   /* announced= */ true) == 0)
		return;
	nsid_want(monitor, tracked);
}

void monitor_gone(struct monitor *monitor, struct tracked *tracked)
{
	int r;

	read_unlist(monitor, tracked);
	nsid_unlist(monitor, tracked);
	if (tracked->freed) {
		account_freed(monitor, tracked->netns.id,
			      tracked->nameless_since_us);
	} else if (tracked->nsid != NSID_NONE) {
		r = lingering_add(&monitor->lingering, tracked->netns.id,
				  tracked->nsid, TAKE_PTR(tracked->last_name),
				  tracked->nameless_since_us);
		if (r < 0 && log_ratelimit_ok(&limit))
			log_warning_errno(r, "cannot note a namespace that has "
					     "no name any more; its end will "
					     "not be measured");
	}
}

/* Lists @tracked for the first time, as read_listing() does. Return: 0; -errno:
 * nothing is kept of it. */
static int read_first(struct monitor *monitor, struct tracked *tracked,
		      bool links)
{
	bool is_changed;
	int r = 0;

	if (tracked->nsid == NSID_NONE && !tracked->netns.host)
		r = nsid_assign(monitor, tracked);
	if (r < 0)
		return r;
	r = read_listing(monitor, tracked, links, &is_changed);
	if (r == -EINTR)
		read_want(monitor, tracked);
	if (r == -ESTALE)
		nsid_lost(monitor, tracked);
	return r == -EINTR ? 0 : r;
}

int monitor_observe(struct monitor *monitor, struct tracked *tracked)
{
	int r;

	if (tracked->netns.observed)
		return 0;
	r = read_first(monitor, tracked, /* links= */ true);
	if (r == 0)
		tracked->netns.observed = true;
	return r;
}

int monitor_read(struct monitor *monitor, struct tracked *tracked)
{
	if (tracked->netns.addresses_known)
		return 0;
	return read_first(monitor, tracked, /* links= */ false);
}

const char *monitor_last_name(const struct monitor *monitor, uint64_t netns_id)
{
	return lingering_name(&monitor->lingering, netns_id);
}

size_t monitor_lingering(const struct monitor *monitor,
			 struct watcher_lingering *ret_lingering, size_t max)
{
	return lingering_list(&monitor->lingering, ret_lingering, max);
}

void monitor_set_max_addresses(struct monitor *monitor, size_t max_addresses)
{
	monitor->max_addresses = max_addresses;
	read_all(monitor);
}

void monitor_get_stats(const struct monitor *monitor,
		       struct watcher_stats *ret_stats)
{
	*ret_stats = monitor->stats;
	ret_stats->netlink_events = netlink_events_count(monitor->events);
}

static int open_all(struct monitor *monitor, size_t buffer_bytes)
{
	int r = loop_timer_new(monitor->loop, monitor_handler, monitor,
			       &monitor->timer);

	if (r == 0)
		r = netlink_events_open(monitor->loop,
					buffer_bytes ? buffer_bytes
						     : BUFFER_BYTES,
					&events_ops, monitor, &monitor->events);
	return r < 0 ? r : netlink_requests_open(&monitor->requests);
}

int monitor_new(const struct monitor_config *config,
		const struct monitor_ops *ops, void *user_data,
		struct monitor **ret_monitor)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	int r;

	if (!monitor)
		return -ENOMEM;
	monitor->loop = config->loop;
	monitor->registry = config->registry;
	monitor->max_addresses = config->max_addresses;
	monitor->news = config->news;
	monitor->ops = ops;
	monitor->user_data = user_data;
	r = open_all(monitor, config->buffer_bytes);
	if (r < 0) {
		monitor_free(monitor);
		return r;
	}
	host_nsid_check(monitor);
	*ret_monitor = monitor;
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	netlink_events_close(monitor->events);
	netlink_requests_close(monitor->requests);
	loop_timer_free(monitor->timer);
	lingering_done(&monitor->lingering);
	free(monitor);
	return NULL;
}
