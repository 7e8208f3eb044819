// SPDX-License-Identifier: Apache-2.0
/* fd_store.c - listeners of an earlier berthd, from the service manager
 *
 * Theory of operation: berthd leaves its listeners with the manager when it
 * ends (fd_leave.h), and the next one is started with them. Each is a candidate
 * until all namespaces were planned once: earlier, a name of its namespace may
 * be missing that a rule wants. Rows of the binder that a candidate may be, or
 * that need its port, wait so long (fd_store_awaits()). Then the binder adopts
 * it, or it is closed.
 *
 * A candidate is not trusted more than what consumers hand back: the manager
 * gives whatever somebody put into its store. So the kernel is asked what it
 * is; the name only says what the kernel does not know. The consumer that it
 * names may have a copy of the socket, so that no other one gets it.
 *
 * The manager keeps its own copies, and so would pin namespaces as long as
 * berthd lives. So berthd has it forget every name, before it says READY; not
 * earlier, because a berthd that fails at its start leaves all to the next one.
 * Until the manager has read that, it holds the ports of what was closed: so
 * long the rows go on waiting that need them.
 */
#include "daemon/fd_store.h"

#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>

#include "binder/adopt.h"
#include "binder/binder.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/fd_name.h"
#include "daemon/notify.h"

/* How long one slice of deciding may take. */
#define SLICE_US (2 * USEC_PER_MSEC)

/* Names that the manager is told at each wake-up. */
#define FORGET_SLICE 64

/* How long the manager may take to forget all. */
#define FORGET_US (3 * USEC_PER_SEC)

/* The longest message: a name has at most 255 characters. */
#define FORGET_TEXT_MAX 320

/**
 * struct candidate - a listener that came back
 * @consumer:	may have it, too: so no other one gets it; end of a name
 * @fd:		-1: it is decided, or its namespace went
 * @adopted:	the binder has it
 */
struct candidate {
	struct adopt_claim claim;
	const char *consumer;
	int fd;
	bool adopted;
};

/**
 * struct fd_store - see fd_store.h
 * @candidates:	by namespace; those from @next_candidate on are not decided
 * @n_given:	descriptors that the manager gave
 * @names:	of all that the manager gave, sorted
 * @next_name:	the first that it was not told to forget
 * @notify_fd:	-1, unless it is being told
 * @barrier_fd:	-1, unless it was told, and its answer is awaited
 * @source:	of one of these
 * @timer:	when that has taken too long
 * @done:	it has nothing of what it gave, or will not let go of it
 */
struct fd_store {
	struct loop *loop;
	struct binder *binder;
	struct candidate *candidates;
	size_t n_candidates;
	size_t next_candidate;
	size_t n_given;
	char **names;
	size_t n_names;
	size_t next_name;
	int notify_fd;
	int barrier_fd;
	struct loop_source *source;
	struct loop_timer *timer;
	bool decided;
	bool done;
};

static void candidate_close(struct candidate *candidate)
{
	if (candidate->fd >= 0)
		(void)close(TAKE_FD(candidate->fd)); /* not ours to use */
}

static int candidate_compare(const void *a, const void *b)
{
	uint64_t left = ((const struct candidate *)a)->claim.netns_id;
	uint64_t right = ((const struct candidate *)b)->claim.netns_id;

	return (left > right) - (left < right);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Return: why it is no candidate; NULL: it is one now. */
static const char *candidate_take(struct fd_store *store, const char *name,
				  int fd)
{
	struct candidate candidate = { .fd = fd };
	struct endpoint *endpoint = &candidate.claim.endpoint;
	const char *reason;
	enum fd_kind kind;

	if (!name || fd_name_parse(name, &kind, &candidate.consumer) < 0)
		return "its name is none that berthd gives";
	if (adopt_describe(fd, &candidate.claim) < 0)
		return "it is no IP socket";
	if (kind != FD_KIND_ADDRESS) {
		endpoint->family = AF_UNSPEC;
		endpoint->scope_id = 0;
		endpoint->multihomed = kind == FD_KIND_ALL;
		memset(endpoint->addr, 0, sizeof(endpoint->addr));
	}
	reason = adopt_check(fd, &candidate.claim);
	if (!reason)
		store->candidates[store->n_candidates++] = candidate;
	return reason;
}

/* One line, however many descriptors there are. */
static void log_garbage(size_t n, const char *name, const char *reason)
{
	if (n > 0)
		log_warning("%zu of the descriptors that berthd was started "
			    "with %s no listener%s of berth; closing %s; '%s': "
			    "%s",
			    n, n == 1 ? "is" : "are", n == 1 ? "" : "s",
			    n == 1 ? "it" : "them",
			    name && fd_name_is_valid(name) ? name : "?",
			    reason);
}

static void take_all(struct fd_store *store)
{
	const char *first = NULL, *first_reason = NULL;
	size_t garbage = 0;

	for (size_t i = 0; i < store->n_given; i++) {
		const char *name = store->names ? store->names[i] : NULL;
		int fd = SD_LISTEN_FDS_START + (int)i;
		const char *reason = candidate_take(store, name, fd);

		if (!reason)
			continue;
		(void)close(fd); /* not ours to use */
		if (garbage++ == 0) {
			first = name;
			first_reason = reason;
		}
	}
	log_garbage(garbage, first, first_reason);
	if (store->n_candidates > 0)
		log_info("%zu listener%s of an earlier berthd %s back from the "
			 "service manager",
			 store->n_candidates,
			 store->n_candidates == 1 ? "" : "s",
			 store->n_candidates == 1 ? "is" : "are");
}

static void forget_close(struct fd_store *store)
{
	store->source = loop_source_free(store->source);
	cleanup_close(&store->notify_fd);
	store->notify_fd = -1;
	cleanup_close(&store->barrier_fd);
	store->barrier_fd = -1;
}

/* The manager has nothing any more of what it gave; or, with an error, may have
 * it for ever. */
static void forget_end(struct fd_store *store, int error)
{
	if (error < 0)
		log_warning_errno(error,
				  "cannot have the service manager forget the "
				  "listeners that it gave back; it keeps their "
				  "network namespaces from being freed");
	forget_close(store);
	loop_timer_unset(store->timer);
	store->done = true;
	if (store->n_candidates > 0)
		binder_await_end(store->binder);
}

static void forget_timeout(void *user_data)
{
	forget_end(user_data, -ETIMEDOUT);
}

/* Was the next name the last one, too? */
static bool is_repeated(const struct fd_store *store)
{
	size_t i = store->next_name;

	return i > 0 && strcmp(store->names[i], store->names[i - 1]) == 0;
}

/* Return: 1: there is none left; 0; -EAGAIN, -errno. */
static int forget_next(struct fd_store *store, int notify_fd)
{
	char text[FORGET_TEXT_MAX];
	const char *name;
	int r;

	if (store->next_name == store->n_names)
		return 1;
	name = store->names[store->next_name];
	if (fd_name_is_valid(name) && !is_repeated(store)) {
		(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s",
			       name); /* fits */
		r = notify_send(notify_fd, text, NULL, 0);
		if (r < 0)
			return r;
	}
	store->next_name++;
	return 0;
}

static void barrier_handler(uint32_t events, void *user_data)
{
	(void)events; /* its only one: EPOLLHUP */
	forget_end(user_data, 0);
}

/* The last name was sent. */
static int forget_ask(struct fd_store *store)
{
	int r = notify_barrier(store->notify_fd, &store->barrier_fd);

	if (r < 0)
		return r;
	store->source = loop_source_free(store->source);
	return loop_add(store->loop, store->barrier_fd, EPOLLIN,
			barrier_handler, store, &store->source);
}

static void forget_handler(uint32_t events, void *user_data)
{
	struct fd_store *store = user_data;
	int r = 0;

	(void)events;
	for (int i = 0; r == 0 && i < FORGET_SLICE; i++)
		r = forget_next(store, store->notify_fd);
	if (r > 0)
		r = forget_ask(store);
	if (r < 0 && r != -EAGAIN)
		forget_end(store, r);
}

static void forget_begin(struct fd_store *store)
{
	int r = store->n_names > 0 ? notify_open(&store->notify_fd) : -ENOENT;

	if (r == 0)
		r = loop_add(store->loop, store->notify_fd, EPOLLOUT,
			     forget_handler, store, &store->source);
	if (r == 0)
		loop_timer_set(store->timer,
			       loop_now_us(store->loop) + FORGET_US);
	else
		forget_end(store, r == -ENOENT ? 0 : r);
}

/* Return: how many descriptors there are, close-on-exec, from
 * SD_LISTEN_FDS_START on. */
static size_t listen_fds(char ***ret_names)
{
	int n_named =
		sd_listen_fds_with_names(/* unset_environment= */ 0, ret_names);
	/* Although their names may be wrong, they are there. */
	int n = sd_listen_fds(/* unset_environment= */ 1);

	if (n < 0 || n_named < 0)
		log_warning_errno(n < 0 ? n : n_named,
				  "the descriptors that berthd was started "
				  "with are not what LISTEN_FDS and "
				  "LISTEN_FDNAMES say");
	return n > 0 ? (size_t)n : 0;
}

int fd_store_take(struct loop *loop, struct fd_store **ret_store)
{
	struct fd_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->loop = loop;
	store->notify_fd = -1;
	store->barrier_fd = -1;
	store->n_given = listen_fds(&store->names);
	store->candidates =
		calloc(store->n_given + 1, sizeof(*store->candidates));
	if (!store->candidates ||
	    loop_timer_new(loop, forget_timeout, store, &store->timer) < 0) {
		(void)fd_store_free(store); /* is always NULL */
		return -ENOMEM;
	}
	take_all(store);
	if (store->names) {
		store->n_names = store->n_given;
		qsort(store->names, store->n_names, sizeof(*store->names),
		      name_compare);
	}
	qsort(store->candidates, store->n_candidates,
	      sizeof(*store->candidates), candidate_compare);
	*ret_store = store;
	return 0;
}

/* Return: the first candidate of the namespace, or of the next one. */
static size_t first_of(const struct fd_store *store, uint64_t netns_id)
{
	size_t low = 0, high = store->n_candidates;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (store->candidates[middle].claim.netns_id < netns_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_in(const struct fd_store *store, size_t i, uint64_t netns_id)
{
	return i < store->n_candidates &&
	       store->candidates[i].claim.netns_id == netns_id;
}

bool fd_store_awaits(const struct fd_store *store,
		     const struct listener *listener)
{
	uint64_t netns_id = listener->netns_id;
	size_t i;

	if (store->done)
		return false;
	for (i = first_of(store, netns_id); is_in(store, i, netns_id); i++) {
		const struct candidate *candidate = &store->candidates[i];

		if (candidate->fd >= 0 &&
		    candidate->claim.endpoint.port == listener->endpoint.port)
			return true;
	}
	return false;
}

void fd_store_forget(struct fd_store *store, uint64_t netns_id)
{
	size_t i;

	for (i = first_of(store, netns_id); is_in(store, i, netns_id); i++)
		candidate_close(&store->candidates[i]);
}

static void decide(struct candidate *candidate, struct binder *binder)
{
	struct handed_back back = {
		.claim = candidate->claim,
		.consumer = candidate->consumer,
	};
	char endpoint[ENDPOINT_TEXT_MAX];
	const char *reason = "berthd has it already";

	if (candidate->fd < 0)
		return;
	if (binder_hand_back(binder, &back, TAKE_FD(candidate->fd), &reason) ==
	    0)
		candidate->adopted = true;
	else
		log_debug("%s of an earlier berthd is not taken: %s",
			  endpoint_fmt(&back.claim.endpoint, endpoint), reason);
}

static void log_decided(const struct fd_store *store)
{
	size_t adopted = 0;

	for (size_t i = 0; i < store->n_candidates; i++)
		adopted += store->candidates[i].adopted;
	if (store->n_candidates > 0)
		log_info("%zu of %zu listeners of an earlier berthd fit, and "
			 "listen on",
			 adopted, store->n_candidates);
}

bool fd_store_decide(struct fd_store *store, struct binder *binder)
{
	uint64_t deadline_us = monotonic_us() + SLICE_US;

	if (store->decided)
		return false;
	while (store->next_candidate < store->n_candidates) {
		decide(&store->candidates[store->next_candidate++], binder);
		if (monotonic_us() >= deadline_us)
			return true;
	}
	store->decided = true;
	store->binder = binder;
	log_decided(store);
	forget_begin(store);
	return false;
}

bool fd_store_is_decided(const struct fd_store *store)
{
	return store->decided;
}

bool fd_store_is_done(const struct fd_store *store)
{
	return store->done;
}

int fd_store_finish(struct fd_store *store, int notify_fd, uint64_t deadline_us)
{
	int r;

	while ((r = forget_next(store, notify_fd)) <= 0) {
		if (r == -EAGAIN)
			r = notify_wait_room(notify_fd, deadline_us);
		if (r < 0)
			return r;
	}
	return 0;
}

struct fd_store *fd_store_free(struct fd_store *store)
{
	if (!store)
		return NULL;
	for (size_t i = 0; store->candidates && i < store->n_candidates; i++)
		candidate_close(&store->candidates[i]);
	forget_close(store);
	loop_timer_free(store->timer);
	for (size_t i = 0; store->names && i < store->n_names; i++)
		free(store->names[i]);
	free(store->names);
	free(store->candidates);
	free(store);
	return NULL;
}
