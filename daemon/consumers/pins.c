// SPDX-License-Identifier: Apache-2.0
/* pins.c - what processes had of namespaces when their connection ended */
#include "daemon/consumers/pins.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/util.h"
#include "daemon/consumers/known.h"

void pin_add_listener(struct pin *pin, const struct endpoint *endpoint)
{
	if (pin->n_listeners < PIN_ENDPOINTS_MAX)
		pin->endpoints[pin->n_listeners] = *endpoint;
	pin->n_listeners++;
}

void pin_add_told(struct pin *pin, uint64_t told_us)
{
	if (told_us && (!pin->told_us || told_us < pin->told_us))
		pin->told_us = told_us;
}

struct pinner *pinner_new(const char *consumer,
			  const struct consumer_peer *peer, uint64_t started,
			  uint64_t now_us)
{
	struct pinner *pinner = calloc(1, sizeof(*pinner));

	if (!pinner)
		return NULL;
	pinner->consumer = strdup(consumer);
	if (!pinner->consumer) {
		free(pinner);
		return NULL;
	}
	pinner->peer = *peer;
	pinner->started = started;
	pinner->since_us = now_us;
	return pinner;
}

static void pin_remove(struct pinner *pinner, struct pin *pin)
{
	HASH_DEL(pinner->pins, pin);
	free(pin);
}

struct pinner *pinner_free(struct pinner *pinner)
{
	struct pin *pin, *next;

	if (!pinner)
		return NULL;
	HASH_ITER (hh, pinner->pins, pin, next)
		pin_remove(pinner, pin);
	free(pinner->consumer);
	free(pinner);
	return NULL;
}

static struct pin *find(const struct pinner *pinner, uint64_t netns_id)
{
	struct pin *pin;

	HASH_FIND(hh, pinner->pins, &netns_id, sizeof(netns_id), pin);
	return pin;
}

const struct pin *pinner_find(const struct pinner *pinner, uint64_t netns_id)
{
	return find(pinner, netns_id);
}

struct pin *pinner_get(struct pinner *pinner, uint64_t netns_id)
{
	struct pin *pin = find(pinner, netns_id);

	if (pin || HASH_COUNT(pinner->pins) >= PINS_MAX)
		return pin;
	pin = calloc(1, sizeof(*pin));
	if (!pin)
		return NULL;
	pin->netns_id = netns_id;
	HASH_ADD(hh, pinner->pins, netns_id, sizeof(pin->netns_id), pin);
	if (pin->hh.tbl)
		return pin;
	free(pin);
	return NULL;
}

bool pinner_alive(const struct pinner *pinner)
{
	return pinner->started &&
	       known_started(pinner->peer.pid) == pinner->started;
}

static void pinner_remove(struct pinners *pinners, struct pinner *pinner)
{
	DL_DELETE(pinners->list, pinner);
	pinners->n--;
	pinner_free(pinner);
}

/* Forgets what the process was never told to close, and the process if nothing
 * is left. */
static void keep_told(struct pinners *pinners, struct pinner *pinner)
{
	struct pin *pin, *next;

	HASH_ITER (hh, pinner->pins, pin, next) {
		if (!pin->told_us)
			pin_remove(pinner, pin);
	}
	if (!pinner->pins)
		pinner_remove(pinners, pinner);
}

/* Forgets the oldest if there are too many of one consumer, or in all. */
static void limit(struct pinners *pinners, const char *consumer)
{
	struct pinner *pinner, *oldest = NULL;
	size_t n = 0;

	DL_FOREACH (pinners->list, pinner) {
		if (strcmp(pinner->consumer, consumer) != 0)
			continue;
		if (!oldest)
			oldest = pinner;
		n++;
	}
	if (n > PINNERS_PER_CONSUMER_MAX)
		pinner_remove(pinners, oldest);
	else if (pinners->n > PINNERS_MAX)
		pinner_remove(pinners, pinners->list);
}

void pinners_add(struct pinners *pinners, struct pinner *pinner)
{
	struct pinner *other, *next;

	DL_FOREACH_SAFE (pinners->list, other, next) {
		if (!pinner_alive(other))
			keep_told(pinners, other);
	}
	if (!pinner)
		return;
	if (!pinner->pins) {
		pinner_free(pinner);
		return;
	}
	DL_APPEND(pinners->list, pinner);
	pinners->n++;
	limit(pinners, pinner->consumer);
}

void pinners_returned(struct pinners *pinners, pid_t pid, uint64_t started)
{
	struct pinner *pinner, *next;

	DL_FOREACH_SAFE (pinners->list, pinner, next) {
		if (pinner->peer.pid == pid && pinner->started == started)
			keep_told(pinners, pinner);
	}
}

void pinners_freed(struct pinners *pinners, uint64_t netns_id)
{
	struct pinner *pinner, *next;
	struct pin *pin;

	DL_FOREACH_SAFE (pinners->list, pinner, next) {
		pin = find(pinner, netns_id);
		if (!pin)
			continue;
		pin_remove(pinner, pin);
		if (!pinner->pins)
			pinner_remove(pinners, pinner);
	}
}

void pinners_done(struct pinners *pinners)
{
	while (pinners->list)
		pinner_remove(pinners, pinners->list);
}
