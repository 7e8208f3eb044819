// SPDX-License-Identifier: Apache-2.0
/* absent.c - names without a namespace and namespaces without a name, as lists
 */
#include "daemon/control/absent.h"

#include <string.h>

#include "common/util.h"
#include "daemon/control/describe.h"
#include "watcher/watcher.h"

/* Whoever may write to a watched directory can fill it with plain files, but
 * nobody reads a thousand lines of them. */
#define NAMES_MAX 1000

/* What normal deletion needs: the kernel frees in the background. */
#define LINGERING_MIN_US USEC_PER_SEC

/**
 * struct absent - both lists; their names are copies
 * @next_pending, @next_lingering: of what was not shown yet
 */
struct absent {
	struct binder *binder;
	const struct consumers *consumers;
	uint64_t now_us;
	struct watcher_pending *pending;
	size_t n_pending;
	size_t next_pending;
	size_t pending_total;
	struct watcher_lingering *lingering;
	size_t n_lingering;
	size_t next_lingering;
	size_t lingering_total;
};

static size_t at_most(size_t n)
{
	return n < NAMES_MAX ? n : NAMES_MAX;
}

static int take_pending(struct absent *absent, const struct watcher *watcher)
{
	size_t n = at_most(watcher_pending_names(watcher, NULL, 0));
	struct watcher_pending *list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	absent->pending = list;
	absent->pending_total = watcher_pending_names(watcher, list, n);
	for (size_t i = 0; i < n; i++, absent->n_pending++) {
		list[i].dir = strdup(list[i].dir);
		list[i].name = list[i].dir ? strdup(list[i].name) : NULL;
		if (!list[i].name) {
			free((char *)list[i].dir);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Leaves out those that are being freed as they should be. */
static int take_lingering(struct absent *absent, const struct watcher *watcher)
{
	size_t n = at_most(watcher_lingering(watcher, NULL, 0));
	struct watcher_lingering *list = calloc(n + 1, sizeof(*list)), *to;

	if (!list)
		return -ENOMEM;
	absent->lingering = list;
	absent->lingering_total = watcher_lingering(watcher, list, n);
	for (size_t i = 0; i < n; i++) {
		if (absent->now_us - list[i].since_us < LINGERING_MIN_US) {
			absent->lingering_total--;
			continue;
		}
		to = &list[absent->n_lingering];
		*to = list[i];
		to->name = strdup(to->name);
		if (!to->name)
			return -ENOMEM;
		absent->n_lingering++;
	}
	return 0;
}

struct absent *absent_new(const struct watcher *watcher, struct binder *binder,
			  const struct consumers *consumers)
{
	struct absent *absent = malloc(sizeof(*absent));

	if (!absent)
		return NULL;
	*absent = (struct absent){
		.binder = binder,
		.consumers = consumers,
		.now_us = monotonic_us(),
	};
	if (take_pending(absent, watcher) == 0 &&
	    take_lingering(absent, watcher) == 0)
		return absent;
	absent_free(absent);
	return NULL;
}

void absent_free(void *state)
{
	struct absent *absent = state;

	if (!absent)
		return;
	for (size_t i = 0; i < absent->n_pending; i++) {
		free((char *)absent->pending[i].dir);
		free((char *)absent->pending[i].name);
	}
	for (size_t i = 0; i < absent->n_lingering; i++)
		free((char *)absent->lingering[i].name);
	free(absent->pending);
	free(absent->lingering);
	free(absent);
}

size_t absent_pending_total(const struct absent *absent)
{
	return absent->pending_total;
}

size_t absent_lingering_total(const struct absent *absent)
{
	return absent->lingering_total;
}

int absent_next_pending(void *state, json_t **ret_element)
{
	struct absent *absent = state;

	if (absent->next_pending == absent->n_pending)
		return 0;
	*ret_element = describe_pending(
		&absent->pending[absent->next_pending++], absent->now_us);
	return *ret_element ? 1 : -ENOMEM;
}

int absent_next_lingering(void *state, json_t **ret_element)
{
	struct absent *absent = state;
	const struct watcher_lingering *lingering;

	if (absent->next_lingering == absent->n_lingering)
		return 0;
	lingering = &absent->lingering[absent->next_lingering++];
	*ret_element = describe_lingering(
		lingering,
		describe_count_in(absent->binder, lingering->netns_id).open,
		absent->consumers, absent->now_us);
	return *ret_element ? 1 : -ENOMEM;
}
