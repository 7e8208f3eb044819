// SPDX-License-Identifier: Apache-2.0
/* containers.c - what berthd was told of containers, by namespace
 *
 * Theory of operation: a *fact* is one container that a source told of, with
 * the path that leads to its namespace. A *place* is where facts meet
 * namespaces. It has a key, which is one of two:
 *
 *   "/run/netns/blue"	a name in a watched directory. names.c knows where it
 *			leads; the fact stays in this place for its life.
 *   "#4711"		the id of a namespace, to which any other path led when
 *			it was looked at; or somebody registered it.
 *
 * A namespace has the facts in the places of its names, and of its id. They are
 * put together anew (rebuild) whenever its names or the facts there change. So
 * a fact may be told before its namespace exists, nothing of the namespace is
 * held open, and when the namespace goes nothing is left of it but facts that
 * wait.
 *
 * What another path leads to is asked once. The facts that have no namespace
 * wait in a list, and are asked about again when a namespace came or went: only
 * then can another answer matter. A process is told from a later one with its
 * number by struct task.
 */
#include "watcher/containers.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"
#include "watcher/container_fact.h"
#include "watcher/netns_path.h"
#include "watcher/resolve.h"

/* How many of those that wait are looked at again, in one step (10 µs each) and
 * after an event. Each time others are the first. */
#define RETRY_SLICE 32
#define RETRY_MAX 1024

/* Of one place. More than a namespace may have, so that which ones it has does
 * not depend on the order in which they were told. */
#define FACTS_PER_PLACE_MAX 1024u

#define PROC "/proc/"
#define KEY_MAX (PATH_MAX + NAME_MAX + 2)

static const char reason_name[] = "no such name in the watched directory";
static const char reason_unnamed[] =
	"its namespace has no name in a watched directory";
static const char reason_path[] = "there is no such path";
static const char reason_process[] = "there is no such process";
static const char reason_ended[] = "its process has ended";
static const char reason_too_many[] =
	"its namespace has the most containers that are kept for one";

/** struct place - see the theory above */
struct place {
	struct container_fact *facts;
	size_t n;
	UT_hash_handle hh;
	char key[];
};

/** struct source - who told; the facts are sorted by fact_compare() */
struct source {
	struct container_fact **facts;
	size_t n;
	UT_hash_handle hh;
	char name[];
};

/**
 * struct containers - see containers.h
 * @bytes:	of all facts' containers
 * @waiting:	facts without a namespace whose path is in no watched directory
 * @due:	namespaces to be rebuilt
 * @retry_left:	how many of @waiting are to be looked at again
 */
struct containers {
	struct registry *registry;
	const struct containers_ops *ops;
	void *user_data;
	struct source *sources;
	struct place *places;
	size_t n_facts;
	size_t bytes;
	struct container_fact *waiting;
	size_t n_waiting;
	size_t retry_left;
	struct tracked *due;
};

struct containers *containers_new(struct registry *registry,
				  const struct containers_ops *ops,
				  void *user_data)
{
	struct containers *containers = calloc(1, sizeof(*containers));

	if (!containers)
		return NULL;
	containers->registry = registry;
	containers->ops = ops;
	containers->user_data = user_data;
	return containers;
}

static void set_waiting(struct containers *containers,
			struct container_fact *fact, bool waiting)
{
	if (fact->waiting == waiting)
		return;
	fact->waiting = waiting;
	if (waiting) {
		DL_APPEND2(containers->waiting, fact, wait_prev, wait_next);
		containers->n_waiting++;
	} else {
		DL_DELETE2(containers->waiting, fact, wait_prev, wait_next);
		containers->n_waiting--;
	}
}

static void want_retry(struct containers *containers)
{
	containers->retry_left = containers->n_waiting < RETRY_MAX
					 ? containers->n_waiting
					 : RETRY_MAX;
}

static void set_due(struct containers *containers, struct tracked *tracked,
		    bool due)
{
	if (tracked->containers_due == due)
		return;
	tracked->containers_due = due;
	if (due)
		DL_APPEND2(containers->due, tracked, containers_prev,
			   containers_next);
	else
		DL_DELETE2(containers->due, tracked, containers_prev,
			   containers_next);
}

static struct place *place_find(const struct containers *containers,
				const char *key)
{
	struct place *place;

	HASH_FIND_STR(containers->places, key, place);
	return place;
}

static struct place *place_get(struct containers *containers, const char *key)
{
	struct place *place = place_find(containers, key);
	size_t len = strlen(key);

	if (place)
		return place;
	place = calloc(1, sizeof(*place) + len + 1);
	if (!place)
		return NULL;
	memcpy(place->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, containers->places, place->key, len, place);
	if (!place->hh.tbl) {
		free(place);
		return NULL;
	}
	return place;
}

/* Takes the fact out of its place, which ends with its last fact. */
static void leave_place(struct containers *containers,
			struct container_fact *fact)
{
	struct place *place = TAKE_PTR(fact->place);

	if (!place)
		return;
	if (fact->tracked)
		set_due(containers, fact->tracked, true);
	DL_DELETE(place->facts, fact);
	if (--place->n > 0)
		return;
	HASH_DEL(containers->places, place);
	free(place);
}

/* Return: 0; -ENOMEM; -ENOSPC when the place has no room. */
static int enter_place(struct containers *containers,
		       struct container_fact *fact, const char *key)
{
	struct place *place = place_get(containers, key);

	if (!place)
		return -ENOMEM;
	if (place->n >= FACTS_PER_PLACE_MAX)
		return -ENOSPC;
	DL_APPEND(place->facts, fact);
	place->n++;
	fact->place = place;
	return 0;
}

static void id_key(uint64_t id, char *buffer)
{
	(void)snprintf(buffer, KEY_MAX, "#%" PRIu64, id); /* fits */
}

static void name_key(const char *dir, const char *name, char *buffer)
{
	(void)snprintf(buffer, KEY_MAX, "%s/%s", dir, name); /* fits */
}

static int fact_compare(const void *a, const void *b)
{
	const struct container_fact *const *x = a, *const *y = b;
	int r = container_compare((*x)->container, (*y)->container);

	return r ? r : strcmp((*x)->path, (*y)->path);
}

/** struct gathered - the facts that a namespace should have */
struct gathered {
	struct container_fact **list;
	size_t n;
	size_t room;
};

static int gather(const struct containers *containers, const char *key,
		  struct gathered *gathered)
{
	const struct place *place = place_find(containers, key);
	struct container_fact *fact, **list;

	if (!place)
		return 0;
	if (!gathered->list || gathered->n + place->n > gathered->room) {
		list = reallocarray(gathered->list, gathered->n + place->n,
				    sizeof(struct container_fact *));
		if (!list)
			return -ENOMEM;
		gathered->list = list;
		gathered->room = gathered->n + place->n;
	}
	DL_FOREACH (place->facts, fact)
		gathered->list[gathered->n++] = fact;
	return 0;
}

static int gather_all(const struct containers *containers,
		      const struct netns *netns, struct gathered *gathered)
{
	char key[KEY_MAX];
	int r;

	id_key(netns->id, key);
	r = gather(containers, key, gathered);
	for (size_t i = 0; i < netns->n_names && r == 0; i++) {
		name_key(netns->names[i].dir, netns->names[i].name, key);
		r = gather(containers, key, gathered);
	}
	if (gathered->n > 1)
		qsort(gathered->list, gathered->n,
		      sizeof(struct container_fact *), fact_compare);
	return r;
}

static void lose(struct containers *containers, struct container_fact *fact)
{
	fact->tracked = NULL;
	fact->reason = fact->watched ? reason_name : reason_unnamed;
	fact->error = 0;
	if (!fact->watched && !fact->ended)
		set_waiting(containers, fact, true);
}

/* Puts the gathered facts in the place of those that the namespace had. */
static void exchange(struct containers *containers, struct tracked *tracked,
		     struct gathered *gathered, const struct container **list)
{
	struct netns *netns = &tracked->netns;
	size_t kept = gathered->n;

	if (kept > CONTAINERS_PER_NETNS_MAX)
		kept = CONTAINERS_PER_NETNS_MAX;
	for (size_t i = 0; i < netns->n_containers; i++) {
		if (tracked->container_facts[i]->tracked == tracked)
			lose(containers, tracked->container_facts[i]);
	}
	for (size_t i = 0; i < gathered->n; i++) {
		struct container_fact *fact = gathered->list[i];

		set_waiting(containers, fact, false);
		fact->tracked = i < kept ? tracked : NULL;
		fact->reason = i < kept ? NULL : reason_too_many;
		fact->error = 0;
		if (list && i < kept)
			list[i] = fact->container;
	}
	free(tracked->container_facts);
	netns->containers = list;
	netns->n_containers = kept;
	tracked->container_facts = TAKE_PTR(gathered->list);
}

static bool has_these(const struct netns *netns,
		      const struct container *const *list, size_t n)
{
	return n == netns->n_containers &&
	       (n == 0 ||
		memcmp(netns->containers, list, n * sizeof(*list)) == 0);
}

/* Puts the containers of a namespace together anew. Facts that left their
 * places must not be freed before. Without memory it has none, and is due
 * still. Return: are they others than before? */
static bool rebuild(struct containers *containers, struct tracked *tracked)
{
	const struct container **list = NULL, **before;
	struct netns *netns = &tracked->netns;
	struct gathered gathered = { 0 };
	size_t n_before = netns->n_containers;
	bool changed;
	int r;

	set_due(containers, tracked, false);
	r = gather_all(containers, netns, &gathered);
	if (r == 0 && gathered.n > 0) {
		list = calloc(gathered.n, sizeof(*list));
		r = list ? 0 : -ENOMEM;
	}
	if (r < 0) {
		free(gathered.list);
		gathered = (struct gathered){ 0 };
		set_due(containers, tracked, true);
	}
	before = netns->containers;
	exchange(containers, tracked, &gathered, list);
	changed = n_before != netns->n_containers ||
		  (before && !has_these(netns, before, n_before));
	if (changed && containers->ops->rebuilt)
		containers->ops->rebuilt(tracked, before, n_before,
					 containers->user_data);
	free(before);
	return changed;
}

static void rebuild_due(struct containers *containers)
{
	struct tracked *tracked, *next;

	DL_FOREACH_SAFE2 (containers->due, tracked, next, containers_next) {
		if (rebuild(containers, tracked))
			containers->ops->changed(tracked,
						 containers->user_data);
	}
}

static void fail(struct container_fact *fact, const char *reason, int error)
{
	fact->reason = reason;
	fact->error = error;
}

/* Is it the process that was there at first? */
static bool same_process(struct container_fact *fact, const struct task *task)
{
	if (fact->task.number == 0)
		fact->task = *task;
	return fact->task.number == task->number &&
	       fact->task.identity == task->identity;
}

static void resolve_failed(struct container_fact *fact, int error,
			   const char *reason)
{
	bool absent = error == -ENOENT || error == -ENOLINK || error == -ESRCH;

	if (absent && fact->by_process) {
		fact->ended = fact->task.number != 0;
		reason = fact->ended ? reason_ended : reason_process;
	} else if (error == -ENOENT) {
		reason = reason_path;
	}
	fail(fact, reason, -error);
}

/* Looks where a path leads that is in no watched directory. */
static void resolve(struct containers *containers, struct container_fact *fact)
{
	const char *reason = NULL;
	struct resolution resolution = { 0 };
	struct netns_path path;
	struct tracked *tracked;
	char key[KEY_MAX];
	int r = netns_path_split(fact->path, &path);

	leave_place(containers, fact);
	if (r == 0)
		r = containers->ops->resolve(&path, &resolution, &reason,
					     containers->user_data);
	if (r == 0 && fact->by_process && !same_process(fact, &resolution.task))
		r = -ESRCH;
	if (r < 0) {
		resolve_failed(fact, r, reason);
		set_waiting(containers, fact, !fact->ended);
		return;
	}
	tracked = netns_path_find(containers->registry, &resolution);
	fail(fact, reason_unnamed, 0);
	set_waiting(containers, fact, true);
	if (!tracked && !resolution.cookie)
		return;
	id_key(tracked ? tracked->netns.id : resolution.cookie, key);
	r = enter_place(containers, fact, key);
	if (r < 0)
		fail(fact, r == -ENOSPC ? reason_too_many : reason_unnamed, -r);
	else if (tracked)
		set_due(containers, tracked, true);
}

/* The watched directory that the path is in, also by links; or NULL. */
static const char *find_watched_dir(const struct containers *containers,
				    struct netns_path *path)
{
	const struct containers_ops *ops = containers->ops;
	const char *dir = ops->watched_dir(path->dir, containers->user_data);

	if (dir)
		return dir;
	netns_path_follow_links(path);
	return ops->watched_dir(path->dir, containers->user_data);
}

/* Finds the place of a new fact. Return: is it a place for its life? Then
 * @ret_tracked is the namespace there, or NULL. */
static bool find_place(const struct containers *containers,
		       struct container_fact *fact, char *key,
		       struct tracked **ret_tracked)
{
	const char *dir = NULL;
	struct netns_path path;

	id_key(fact->netns_id, key);
	*ret_tracked = registry_find(containers->registry, fact->netns_id);
	if (fact->netns_id)
		return true;
	if (!fact->by_process && netns_path_split(fact->path, &path) == 0)
		dir = find_watched_dir(containers, &path);
	fact->watched = dir != NULL;
	if (!dir)
		return false;
	name_key(dir, path.name, key);
	*ret_tracked =
		containers->ops->find(dir, path.name, containers->user_data);
	return true;
}

/* Gives a new fact its place. */
static void settle(struct containers *containers, struct container_fact *fact)
{
	struct tracked *tracked = NULL;
	char key[KEY_MAX];
	int r;

	if (!find_place(containers, fact, key, &tracked)) {
		resolve(containers, fact);
		return;
	}
	fail(fact, fact->watched ? reason_name : reason_unnamed, 0);
	r = enter_place(containers, fact, key);
	if (r < 0) {
		fail(fact, r == -ENOSPC ? reason_too_many : fact->reason, -r);
		set_waiting(containers, fact, !fact->ended);
	} else if (tracked) {
		set_due(containers, tracked, true);
	}
}

static struct container_fact *fact_free(struct container_fact *fact)
{
	if (!fact)
		return NULL;
	free(fact->container);
	free(fact->path);
	free(fact);
	return NULL;
}

static struct container_fact *fact_new(const struct container_told *told,
				       const char *source)
{
	const char *path = told->netns_id ? NETNS_REGISTERED_DIR
					  : told->netns_path;
	struct container container = told->container;
	struct container_fact *fact = calloc(1, sizeof(*fact));
	int n;

	if (!fact)
		return NULL;
	container.source = source;
	container.since_us = container.since_us ?: monotonic_us();
	fact->container = container_copy(&container);
	fact->netns_id = told->netns_id;
	fact->ended = told->netns_id != 0;
	n = path ? asprintf(&fact->path, "%s", path)
		 : asprintf(&fact->path, PROC "%d/ns/net", (int)container.pid);
	if (n < 0)
		fact->path = NULL; /* asprintf(3) leaves it undefined */
	fact->by_process = fact->path &&
			   strncmp(fact->path, PROC, sizeof(PROC) - 1) == 0;
	return fact->container && fact->path ? fact : fact_free(fact);
}

static void facts_free(struct container_fact **facts, size_t n)
{
	for (size_t i = 0; facts && i < n; i++)
		(void)fact_free(facts[i]); /* is always NULL */
	free(facts);
}

/* Return: @n facts, sorted; NULL: out of memory. */
static struct container_fact **
facts_new(const char *source, const struct container_told *told, size_t n)
{
	struct container_fact **facts =
		calloc(n ? n : 1, sizeof(struct container_fact *));

	for (size_t i = 0; facts && i < n; i++) {
		facts[i] = fact_new(&told[i], source);
		if (!facts[i]) {
			facts_free(facts, i);
			return NULL;
		}
	}
	if (facts && n > 1)
		qsort(facts, n, sizeof(struct container_fact *), fact_compare);
	return facts;
}

/* A container that is told of again, with other labels perhaps, keeps its age.
 * Both lists are sorted; not all are looked at that only differ in the path. */
static void keep_ages(struct container_fact *const *facts, size_t n,
		      struct container_fact *const *before, size_t n_before)
{
	for (size_t i = 0, k = 0, j; i < n; i++) {
		struct container *new = facts[i]->container;

		while (k < n_before &&
		       container_compare_names(before[k]->container, new) < 0)
			k++;
		for (j = k; j < n_before && j - k < CONTAINERS_PER_NETNS_MAX;
		     j++) {
			if (container_compare_names(before[j]->container,
						    new) == 0 &&
			    strcmp(before[j]->path, facts[i]->path) == 0)
				new->since_us = before[j]->container->since_us;
		}
	}
}

/* A fact that was told before stays, with all that is known of it: the new one
 * is freed. Both lists are sorted. The facts that are not told any more stay in
 * @before, the others become NULL there. */
static void keep_same(struct container_fact **facts, size_t n,
		      struct container_fact **before, size_t n_before)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < n_before && fact_compare(&before[k], &facts[i]) < 0)
			k++;
		if (k == n_before)
			return;
		if (fact_compare(&before[k], &facts[i]) != 0)
			continue;
		(void)fact_free(facts[i]); /* is always NULL */
		facts[i] = TAKE_PTR(before[k]);
		k++;
	}
}

static size_t told_bytes(const struct container_told *told, size_t n,
			 const char *source)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		struct container container = told[i].container;

		container.source = source;
		bytes += container_bytes(&container);
	}
	return bytes;
}

static size_t source_bytes(const struct source *source)
{
	size_t bytes = 0;

	for (size_t i = 0; i < source->n; i++)
		bytes += container_bytes(source->facts[i]->container);
	return bytes;
}

static struct source *source_get(struct containers *containers,
				 const char *name)
{
	size_t len = strlen(name);
	struct source *source;

	HASH_FIND(hh, containers->sources, name, len, source);
	if (source)
		return source;
	source = calloc(1, sizeof(*source) + len + 1);
	if (!source)
		return NULL;
	memcpy(source->name, name, len + 1);
	HASH_ADD_KEYPTR(hh, containers->sources, source->name, len, source);
	if (!source->hh.tbl) {
		free(source);
		return NULL;
	}
	return source;
}

static void source_end(struct containers *containers, struct source *source)
{
	HASH_DEL(containers->sources, source);
	free(source->facts);
	free(source);
}

/* Puts the facts in force. */
static void source_set(struct containers *containers, struct source *source,
		       struct container_fact **facts, size_t n)
{
	struct container_fact **before = source->facts;
	size_t n_before = source->n;

	keep_ages(facts, n, before, n_before);
	keep_same(facts, n, before, n_before);
	source->facts = facts;
	source->n = n;
	for (size_t i = 0; i < n_before; i++) {
		if (!before[i])
			continue;
		set_waiting(containers, before[i], false);
		leave_place(containers, before[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (!facts[i]->reason && !facts[i]->tracked)
			settle(containers, facts[i]);
	}
	/* Namespaces still have the facts that are not told any more. */
	rebuild_due(containers);
	for (size_t i = 0; i < n_before; i++) {
		if (before[i])
			set_waiting(containers, before[i], false);
	}
	facts_free(before, n_before);
}

int containers_tell(struct containers *containers, const char *source_name,
		    const struct container_told *told, size_t n)
{
	struct source *source = source_get(containers, source_name);
	size_t bytes = told_bytes(told, n, source_name), bytes_before, n_before;
	struct container_fact **facts;
	int r = 0;

	if (!source)
		return -ENOMEM;
	bytes_before = source_bytes(source);
	n_before = source->n;
	if (n > CONTAINERS_MAX - (containers->n_facts - n_before) ||
	    bytes > CONTAINERS_BYTES_MAX - (containers->bytes - bytes_before))
		r = -ENOSPC;
	facts = r < 0 ? NULL : facts_new(source_name, told, n);
	if (!facts) {
		if (source->n == 0)
			source_end(containers, source);
		return r < 0 ? r : -ENOMEM;
	}
	containers->n_facts += n - n_before;
	containers->bytes += bytes - bytes_before;
	source_set(containers, source, facts, n);
	if (n == 0)
		source_end(containers, source);
	return 0;
}

struct containers *containers_free(struct containers *containers)
{
	struct source *source, *next;

	if (!containers)
		return NULL;
	HASH_ITER (hh, containers->sources, source, next) {
		for (size_t i = 0; i < source->n; i++)
			leave_place(containers, source->facts[i]);
		facts_free(TAKE_PTR(source->facts), source->n);
		source_end(containers, source);
	}
	free(containers);
	return NULL;
}

void containers_names_changed(struct containers *containers,
			      struct tracked *tracked)
{
	if (containers->n_facts == 0)
		return;
	want_retry(containers);
	(void)rebuild(containers, tracked); /* it is told anyway */
}

void containers_gone(struct containers *containers, struct tracked *tracked)
{
	struct container_fact *fact, *next;
	struct place *place;
	char key[KEY_MAX];

	for (size_t i = 0; i < tracked->netns.n_containers; i++) {
		if (tracked->container_facts[i]->tracked == tracked)
			lose(containers, tracked->container_facts[i]);
	}
	tracked->netns.n_containers = 0;
	id_key(tracked->netns.id, key);
	place = containers->places ? place_find(containers, key) : NULL;
	/* The place ends with its last fact. */
	for (fact = place ? place->facts : NULL; fact; fact = next) {
		next = fact->next;
		leave_place(containers, fact);
		set_waiting(containers, fact, !fact->ended);
	}
	set_due(containers, tracked, false);
	want_retry(containers);
}

/* Looks at the first of those that wait, and puts them behind the others. */
static void retry(struct containers *containers)
{
	for (size_t i = 0; i < RETRY_SLICE && containers->retry_left; i++) {
		struct container_fact *fact = containers->waiting;

		if (!fact) {
			containers->retry_left = 0;
			return;
		}
		containers->retry_left--;
		set_waiting(containers, fact, false);
		resolve(containers, fact);
	}
}

bool containers_step(struct containers *containers)
{
	if (containers->retry_left)
		retry(containers);
	if (containers->due)
		rebuild_due(containers);
	return containers->retry_left > 0;
}

size_t containers_pending(const struct containers *containers,
			  struct watcher_pending_container *ret_pending,
			  size_t max)
{
	const struct source *source;
	size_t n = 0;

	for (source = containers->sources; source; source = source->hh.next) {
		for (size_t i = 0; i < source->n; i++) {
			const struct container_fact *fact = source->facts[i];

			if (fact->tracked)
				continue;
			if (n < max)
				ret_pending[n] =
					(struct watcher_pending_container){
						.container = fact->container,
						.path = fact->path,
						.reason = fact->reason,
						.error = fact->error,
					};
			n++;
		}
	}
	return n;
}

size_t containers_count(const struct containers *containers)
{
	return containers->n_facts;
}
