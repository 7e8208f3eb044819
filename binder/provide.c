// SPDX-License-Identifier: Apache-2.0
/* provide.c - gives namespaces what rules want them to have, and takes it away
 * again
 *
 * Theory of operation: each namespace has a list of items: what the last
 * provider_apply() wanted, and what berth has added before and nobody wants any
 * more. What is there is known from the watcher, and each change of it ends in
 * another provider_apply(), so that one function serves a namespace that
 * appears, an interface that comes later and an address that somebody took
 * away.
 *
 * Whose is an address? berth's if it was noted before it was added (@note),
 * and the kernel shows berth's mark (IFA_PROTO) on it. A berthd that is killed
 * between the note and the change leaves a note without an address, which is
 * dropped. An address that somebody puts in place of berth's has no mark, and
 * is somebody else's from then on.
 *
 * Loopback is never set down again. Programs in the namespace may rely on it by
 * then, and it costs them their connections and ::1; no one can tell.
 *
 * An item is tried at once the first time. After that each attempt is held off
 * (common/holdoff.h), whether the last one failed or somebody undid it: two who
 * fight over an address do so at most every five seconds. The kernel's own word
 * that an address was added comes a moment later; until then the item is
 * @unseen, and nothing is done about its absence.
 */
#include "binder/provide.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* An element that found no memory has hh.tbl == NULL; nobody exits. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "binder/provide_verdict.h"
#include "binder/provide_visit.h"
#include "common/holdoff.h"
#include "common/log.h"
#include "common/log_teller.h"
#include "common/util.h"

/* Lines about one namespace. */
#define LOG_INTERVAL_US (5 * USEC_PER_SEC)
#define LOG_BURST 4

/* Items whose time comes within this long are tried together. */
#define TIMER_SLACK_US (20 * USEC_PER_MSEC)

#define ERROR_TEXT_MAX 64

#define TAKEN_AWAY "somebody has taken it away; it is added again"
#define NOT_OBSERVED "the addresses of the namespace could not be read yet"
#define NO_INTERFACE "the namespace has no interface of that name (yet)"
#define OTHER_LENGTH "the address is there, with another prefix length"
#define OWN_OTHER_LENGTH                                                       \
	"the same address with another prefix length, which berth has added, " \
	"has to go first"
#define IN_USE "connections to the address have not ended yet"
#define NOT_NOTED \
	"cannot write down in the runtime directory that it is berth's"

/**
 * struct item - see struct provided
 * @wanted:	by the last provider_apply()
 * @due:	it is to be tried in the visit that is being prepared
 * @unseen:	it was made, and the kernel has not told of it yet
 * @warned:	that it cannot be made was logged
 */
struct item {
	struct provided provided;
	bool wanted;
	bool due;
	bool unseen;
	bool warned;
	struct holdoff holdoff;
	struct item *prev, *next;
};

/** struct provider_netns - one namespace. @n_noted: how many of @items the last
 * note says are berth's */
struct provider_netns {
	uint64_t id;
	struct item *items;
	size_t n_noted;
	UT_hash_handle hh;
};

struct provider {
	struct loop *loop;
	const struct provider_ops *ops;
	void *user_data;
	struct loop_timer *timer;
	struct log_teller *teller;
	struct provider_netns *netns; /* by id */
};

const char *provided_state_name(enum provided_state state)
{
	static const char *const names[] = {
		[PROVIDED_ADDED] = "added",
		[PROVIDED_FOUND] = "found",
		[PROVIDED_WAITING] = "waiting",
		[PROVIDED_LEAVING] = "leaving",
	};

	_Static_assert(ARRAY_SIZE(names) == PROVIDED_LEAVING + 1,
		       "a name each");
	return names[state];
}

static struct provider_netns *netns_find(const struct provider *provider,
					 uint64_t netns_id)
{
	struct provider_netns *netns;

	HASH_FIND(hh, provider->netns, &netns_id, sizeof(netns_id), netns);
	return netns;
}

static struct provider_netns *netns_get(struct provider *provider,
					uint64_t netns_id)
{
	struct provider_netns *netns = netns_find(provider, netns_id);

	if (netns)
		return netns;
	netns = calloc(1, sizeof(*netns));
	if (!netns)
		return NULL;
	netns->id = netns_id;
	HASH_ADD(hh, provider->netns, id, sizeof(netns->id), netns);
	if (netns->hh.tbl)
		return netns;
	free(netns);
	return NULL;
}

static void item_free(struct provider_netns *netns, struct item *item)
{
	DL_DELETE(netns->items, item);
	free(item);
}

static void netns_free(struct provider *provider, struct provider_netns *netns)
{
	struct item *item, *next;

	DL_FOREACH_SAFE (netns->items, item, next)
		item_free(netns, item);
	HASH_DEL(provider->netns, netns);
	free(netns);
}

/* Some items' time has come: tells which namespaces have such. */
static void timer_handler(void *user_data)
{
	struct provider *provider = user_data;
	uint64_t until_us = loop_now_us(provider->loop) + TIMER_SLACK_US;
	struct provider_netns *netns, *next;
	struct item *item;

	HASH_ITER (hh, provider->netns, netns, next) {
		bool due = false;

		DL_FOREACH (netns->items, item) {
			uint64_t at_us = item->provided.next_attempt_us;

			if (at_us && at_us <= until_us)
				due = true;
			else if (at_us)
				loop_timer_set_earlier(provider->timer, at_us);
		}
		if (due)
			provider->ops->due(netns->id, provider->user_data);
	}
}

int provider_new(struct loop *loop, const struct provider_ops *ops,
		 void *user_data, struct provider **ret_provider)
{
	struct provider *provider = malloc(sizeof(*provider));
	int r;

	if (!provider)
		return -ENOMEM;
	*provider = (struct provider){
		.loop = loop,
		.ops = ops,
		.user_data = user_data,
	};
	r = loop_timer_new(loop, timer_handler, provider, &provider->timer);
	if (r == 0)
		r = log_teller_new(loop, LOG_INTERVAL_US, LOG_BURST,
				   &provider->teller);
	if (r < 0) {
		(void)provider_free(provider); /* is always NULL */
		return r;
	}
	*ret_provider = provider;
	return 0;
}

struct provider *provider_free(struct provider *provider)
{
	struct provider_netns *netns, *next;

	if (!provider)
		return NULL;
	HASH_ITER (hh, provider->netns, netns, next)
		netns_free(provider, netns);
	(void)log_teller_free(provider->teller); /* is always NULL */
	loop_timer_free(provider->timer);
	free(provider);
	return NULL;
}

static bool same_thing(const struct provision *a, const struct provision *b)
{
	return provision_same(a, b) && a->prefix_bits == b->prefix_bits;
}

/* The item of @what: berth's own on that interface, or one that is not berth's.
 * What berth has added to an interface that has another name now is no item of
 * this one. */
static struct item *item_find(struct provider_netns *netns,
			      const struct provision *what, uint32_t ifindex)
{
	struct item *item, *other = NULL;

	DL_FOREACH (netns->items, item) {
		if (!same_thing(&item->provided.what, what))
			continue;
		if (!item->provided.ours)
			other = item;
		else if (item->provided.ifindex == ifindex)
			return item;
	}
	return other;
}

static struct item *item_new(struct provider_netns *netns,
			     const struct provision *what, uint32_t ifindex)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->provided.what = *what;
	item->provided.what.rule = NULL;
	item->provided.state = PROVIDED_WAITING;
	item->provided.ifindex = ifindex;
	DL_APPEND(netns->items, item);
	return item;
}

int provider_remember(struct provider *provider, uint64_t netns_id,
		      const struct provision *what, uint32_t ifindex)
{
	struct provider_netns *netns = netns_get(provider, netns_id);
	struct item *item = netns ? item_new(netns, what, ifindex) : NULL;

	if (!item)
		return -ENOMEM;
	item->provided.ours = true;
	item->provided.state = PROVIDED_LEAVING;
	netns->n_noted++;
	return 0;
}

bool provider_has(const struct provider *provider, uint64_t netns_id)
{
	return netns_find(provider, netns_id) != NULL;
}

static size_t count_ours(const struct provider_netns *netns)
{
	const struct item *item;
	size_t n = 0;

	DL_FOREACH (netns->items, item)
		n += item->provided.ours;
	return n;
}

/* Writes down what is berth's. */
static int note(struct provider *provider, struct provider_netns *netns)
{
	_cleanup_free_ const struct provided **list =
		calloc(count_ours(netns) + 1, sizeof(struct provided *));
	struct item *item;
	size_t n = 0;
	int r;

	if (!list)
		return -ENOMEM;
	DL_FOREACH (netns->items, item) {
		if (item->provided.ours)
			list[n++] = &item->provided;
	}
	r = provider->ops->note(netns->id, list, n, provider->user_data);
	if (r == 0)
		netns->n_noted = n;
	return r;
}

/* Something may have turned out not to be berth's. A note that says too much is
 * compared with the kernel before it is believed. */
static void note_again(struct provider *provider, struct provider_netns *netns)
{
	if (count_ours(netns) != netns->n_noted && note(provider, netns) < 0)
		log_debug("cannot take a note back; it is harmless");
}

/* When may the item be tried, or tried again? */
static void item_schedule(struct provider *provider, struct item *item)
{
	uint64_t now_us = loop_now_us(provider->loop);

	if (item->provided.next_attempt_us)
		return;
	item->provided.next_attempt_us = holdoff_next(&item->holdoff, now_us);
	loop_timer_set_earlier(provider->timer, item->provided.next_attempt_us);
}

static bool item_is_due(const struct provider *provider,
			const struct item *item)
{
	return item->provided.next_attempt_us <=
	       loop_now_us(provider->loop) + TIMER_SLACK_US;
}

static void item_settle(struct item *item, enum provided_state state,
			const char *reason)
{
	item->provided.state = state;
	item->provided.reason = reason;
	item->provided.error = 0;
	item->provided.next_attempt_us = 0;
}

static void item_wait(struct item *item, const char *reason)
{
	item_settle(item, PROVIDED_WAITING, reason);
}

/* It is berth's no more, if it ever was. */
static void item_disown(struct item *item)
{
	item->provided.ours = false;
	item->unseen = false;
}

/* The namespace lacks it: now, or later when it was tried a moment ago. */
static void item_is_absent(struct provider *provider, struct item *item)
{
	struct provided *provided = &item->provided;
	bool made = provided->state == PROVIDED_ADDED;

	item_schedule(provider, item);
	if (item_is_due(provider, item)) {
		item->due = true;
		return;
	}
	if (made && !item->unseen) {
		provided->state = PROVIDED_WAITING;
		provided->reason = TAKEN_AWAY;
	}
}

static void item_judge(struct provider *provider, struct item *item,
		       enum provide_verdict verdict)
{
	switch (verdict) {
	case PROVIDE_UNKNOWN:
		item_wait(item, NOT_OBSERVED);
		break;
	case PROVIDE_NO_INTERFACE:
		item_disown(item);
		item_wait(item, NO_INTERFACE);
		break;
	case PROVIDE_ABSENT:
		item_is_absent(provider, item);
		break;
	case PROVIDE_MARKED:
		item->unseen = false;
		item_settle(item,
			    item->provided.ours ? PROVIDED_ADDED
						: PROVIDED_FOUND,
			    NULL);
		break;
	case PROVIDE_PRESENT:
		if (item->provided.what.kind == PROVISION_LOOPBACK &&
		    item->provided.state == PROVIDED_ADDED) {
			item->unseen = false;
			item_settle(item, PROVIDED_ADDED, NULL);
			break;
		}
		item_disown(item);
		item_settle(item, PROVIDED_FOUND, NULL);
		break;
	case PROVIDE_OTHER_LENGTH:
		item_disown(item);
		item_settle(item, PROVIDED_FOUND, OTHER_LENGTH);
		break;
	case PROVIDE_MARKED_OTHER_LENGTH:
		item_wait(item, OWN_OTHER_LENGTH);
		break;
	}
}

/* Makes or updates the item of one wanted provision. */
static int apply_wanted(struct provider *provider, const struct netns *netns,
			struct provider_netns *items,
			const struct provision *wanted)
{
	struct item *item;
	uint32_t ifindex;
	enum provide_verdict verdict =
		provide_judge(netns, wanted, 0, &ifindex);

	item = item_find(items, wanted, ifindex);
	if (!item)
		item = item_new(items, wanted, ifindex);
	if (!item)
		return -ENOMEM;
	item->wanted = true;
	if (item->provided.state == PROVIDED_LEAVING)
		item_wait(item, NULL);
	/* What it was held off for was another interface. */
	if (ifindex && item->provided.ifindex != ifindex)
		item->holdoff = (struct holdoff){ 0 };
	item->provided.ifindex = ifindex;
	item_judge(provider, item, verdict);
	return 0;
}

static void log_failed(struct provider *provider, uint64_t netns_id,
		       struct item *item)
{
	const struct provided *provided = &item->provided;
	const char *label = provider->ops->label(netns_id, provider->user_data);
	char text[PROVISION_TEXT_MAX], error[ERROR_TEXT_MAX];

	if (!label || item->warned || provided->error == ESTALE)
		return;
	item->warned = true;
	if (log_teller_ok(provider->teller, "netns '%s'", label))
		log_warning_about(
			&(struct log_about){ .netns = label },
			"cannot provide netns '%s' with %s: %s; retrying",
			label, provision_fmt(&provided->what, text),
			provided->reason ? provided->reason
					 : strerror_r(provided->error, error,
						      sizeof(error)));
}

/* What the kernel's refusal means, where that is known. */
static const char *reason_of(const struct item *item)
{
	switch (item->provided.error) {
	case EACCES:
	case EOPNOTSUPP:
		return item->provided.what.addr.family == AF_INET6
			       ? "IPv6 is off on the interface (sysctl "
				 "net.ipv6.conf.INTERFACE.disable_ipv6)"
			       : NULL;
	case EPERM:
		return "not allowed to change the namespace: CAP_NET_ADMIN is "
		       "missing";
	case ENODEV:
		return "the interface has gone";
	case ENOBUFS:
		return "the kernel takes no more addresses, or has no memory";
	case ESTALE:
		return "the namespace is on its way out";
	default:
		return NULL;
	}
}

static void item_failed(struct provider *provider, uint64_t netns_id,
			struct item *item, int error, const char *reason)
{
	item->provided.state = item->wanted ? PROVIDED_WAITING
					    : PROVIDED_LEAVING;
	item->provided.error = error;
	item->provided.reason = reason ? reason : reason_of(item);
	item->provided.next_attempt_us = 0;
	item_schedule(provider, item);
	log_failed(provider, netns_id, item);
}

static void item_added(struct provider *provider, uint64_t netns_id,
		       struct item *item)
{
	char text[PROVISION_TEXT_MAX];
	enum log_level level = item->warned ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;

	item_settle(item, PROVIDED_ADDED, NULL);
	item->unseen = true;
	item->warned = false;
	if (log_enabled(level))
		log_print(level, "netns '%s' is provided with %s",
			  provider->ops->label(netns_id, provider->user_data),
			  provision_fmt(&item->provided.what, text));
}

/* Somebody was faster, or it is one of the addresses that are not observed. */
static void item_exists(struct item *item)
{
	if (item->unseen) {
		item_settle(item, PROVIDED_ADDED, NULL);
		return;
	}
	item_disown(item);
	item_settle(item, PROVIDED_FOUND, NULL);
}

static struct provide_request request_of(const struct item *item,
					 enum provide_change change)
{
	const struct provision *what = &item->provided.what;

	return (struct provide_request){
		.change = change,
		.ifindex = item->provided.ifindex,
		.addr = what->addr,
		.prefix_bits = what->prefix_bits,
		.on_loopback = strcmp(what->ifname, PROVISION_LOOPBACK_NAME) ==
			       0,
	};
}

static void take_added(struct provider *provider, uint64_t netns_id,
		       struct item *item, int error)
{
	if (error == 0)
		item_added(provider, netns_id, item);
	else if (error == EEXIST)
		item_exists(item);
	else {
		item_disown(item);
		item_failed(provider, netns_id, item, error, NULL);
	}
}

/* All requests in one visit of the namespace. Return: 0 or -errno. */
static int visit(struct provider *provider, uint64_t netns_id,
		 struct provide_request *requests, size_t n)
{
	_cleanup_close_ int fd = -1;
	int r = provider->ops->open_netns(netns_id, &fd, provider->user_data);

	return r < 0 ? r : provide_visit(fd, requests, n);
}

/* Nothing is added without a note: it would never be taken away. */
static void refuse_unnoted(struct provider *provider, uint64_t netns_id,
			   struct item **items, size_t n, int error)
{
	for (size_t i = 0; i < n; i++) {
		item_disown(items[i]);
		item_failed(provider, netns_id, items[i], error, NOT_NOTED);
	}
}

/* Adds all items that are due. */
static void add_due(struct provider *provider, struct provider_netns *netns)
{
	struct provide_request requests[PROVISIONS_MAX];
	struct item *items[PROVISIONS_MAX], *item;
	bool notable = false;
	size_t n = 0;
	int r = 0;

	DL_FOREACH (netns->items, item) {
		if (!item->due)
			continue;
		assert(n < PROVISIONS_MAX); /* no more are ever wanted */
		item->due = false;
		items[n] = item;
		if (item->provided.what.kind == PROVISION_LOOPBACK) {
			requests[n++] = request_of(item, PROVIDE_SET_UP);
			continue;
		}
		requests[n++] = request_of(item, PROVIDE_ADD);
		notable |= !item->provided.ours;
		item->provided.ours = true;
	}
	if (n == 0)
		return;
	if (notable)
		r = note(provider, netns);
	if (r < 0) {
		refuse_unnoted(provider, netns->id, items, n, -r);
		return;
	}
	r = visit(provider, netns->id, requests, n);
	for (size_t i = 0; i < n; i++)
		take_added(provider, netns->id, items[i],
			   r < 0 ? -r : requests[i].error);
}

/* An item that nobody wants and that is not berth's is nothing. */
static void drop_unwanted(struct provider *provider,
			  struct provider_netns *netns)
{
	struct item *item, *next;

	note_again(provider, netns);
	DL_FOREACH_SAFE (netns->items, item, next) {
		if (!item->wanted && !item->provided.ours)
			item_free(netns, item);
	}
	if (!netns->items)
		netns_free(provider, netns);
}

int provider_apply(struct provider *provider, const struct netns *netns,
		   const struct provision *wanted, size_t n)
{
	struct provider_netns *items = netns_find(provider, netns->id);
	size_t n_wanted = 0;
	struct item *item;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		n_wanted += provision_is_wanted(&wanted[i]);
	if (n_wanted > 0 && !items)
		items = netns_get(provider, netns->id);
	if (!items)
		return n_wanted > 0 ? -ENOMEM : 0;
	DL_FOREACH (items->items, item)
		item->wanted = false;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (provision_is_wanted(&wanted[i]))
			r = apply_wanted(provider, netns, items, &wanted[i]);
	}
	add_due(provider, items);
	drop_unwanted(provider, items);
	return r;
}

/* Is the same address wanted with another prefix length? Then it has to leave
 * first, and connections find it again a moment later. */
static bool is_replaced(struct provider_netns *netns, const struct item *item)
{
	struct item *other;

	DL_FOREACH (netns->items, other) {
		if (other->wanted &&
		    provision_same(&other->provided.what, &item->provided.what))
			return true;
	}
	return false;
}

/* Is it to be taken away now? If it is berth's no more, it is disowned. */
static bool item_leaves(struct provider *provider, const struct netns *netns,
			struct provider_netns *items, struct item *item)
{
	struct provided *provided = &item->provided;
	uint32_t ifindex;
	enum provide_verdict verdict = provide_judge(
		netns, &provided->what, provided->ifindex, &ifindex);

	provided->state = PROVIDED_LEAVING;
	if (verdict == PROVIDE_UNKNOWN) {
		provided->reason = NOT_OBSERVED;
		return false;
	}
	if (verdict != PROVIDE_MARKED && !item->unseen) {
		item_disown(item);
		return false;
	}
	if (!is_replaced(items, item) &&
	    provider->ops->in_use(netns->id, &provided->what.addr,
				  provider->user_data)) {
		provided->reason = IN_USE;
		return false;
	}
	return !provided->next_attempt_us || item_is_due(provider, item);
}

static void take_removed(struct provider *provider, uint64_t netns_id,
			 struct item *item, int error)
{
	if (error == 0 || error == EADDRNOTAVAIL || error == ENODEV)
		item_disown(item);
	else
		item_failed(provider, netns_id, item, error, NULL);
}

void provider_sweep(struct provider *provider, const struct netns *netns)
{
	struct provider_netns *items = netns_find(provider, netns->id);
	struct item *item;

	if (!items)
		return;
	DL_FOREACH (items->items, item) {
		struct provide_request request =
			request_of(item, PROVIDE_REMOVE);
		int r;

		if (item->wanted || !item->provided.ours ||
		    !item_leaves(provider, netns, items, item))
			continue;
		r = visit(provider, netns->id, &request, 1);
		take_removed(provider, netns->id, item,
			     r < 0 ? -r : request.error);
	}
	drop_unwanted(provider, items);
}

void provider_forget(struct provider *provider, uint64_t netns_id)
{
	struct provider_netns *netns = netns_find(provider, netns_id);
	struct item *item;

	if (!netns)
		return;
	DL_FOREACH (netns->items, item)
		item_disown(item);
	note_again(provider, netns);
	netns_free(provider, netns);
}

void provider_forget_others(struct provider *provider,
			    bool (*exists)(uint64_t netns_id, void *user_data),
			    void *user_data)
{
	struct provider_netns *netns, *next;

	HASH_ITER (hh, provider->netns, netns, next) {
		if (!exists(netns->id, user_data))
			provider_forget(provider, netns->id);
	}
}

const struct provided *provider_next_in(const struct provider *provider,
					uint64_t netns_id,
					const struct provided *previous)
{
	const struct item *item = (const struct item *)previous;
	const struct provider_netns *netns;

	if (item)
		return item->next ? &item->next->provided : NULL;
	netns = netns_find(provider, netns_id);
	return netns ? &netns->items->provided : NULL;
}

const struct provided *provider_find_in(const struct provider *provider,
					uint64_t netns_id,
					const struct provision *wanted)
{
	const struct provided *provided = NULL;

	while ((provided = provider_next_in(provider, netns_id, provided))) {
		if (provided->state != PROVIDED_LEAVING &&
		    same_thing(&provided->what, wanted))
			return provided;
	}
	return NULL;
}
