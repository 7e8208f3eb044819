// SPDX-License-Identifier: Apache-2.0
/* circles.c - listeners that would forward to themselves are not opened
 *
 * Theory of operation: the listeners of one namespace are the nodes of a
 * graph. A listener has an edge to another one when a backend of the first is
 * the endpoint of the second. A depth-first walk, which begins with the
 * listeners of the first rule, refuses each listener that has an edge back to
 * the path on which the walk reached it. The listeners that remain form no
 * circle; chains of them are kept.
 *
 * The endpoints are sorted, and so are the local addresses: a binary search
 * finds an edge, however many listeners there are. They are not hashed,
 * because a container chooses its addresses and could choose ones that
 * collide.
 */
#include "rules/circles.h"

#include <stdlib.h>
#include <string.h>

#include "common/backend.h"
#include "common/protocol.h"
#include "common/util.h"

#define TO_ITSELF "it would forward to itself: it is its own backend"
#define IN_A_CIRCLE \
	"it would forward to itself, in a circle through other listeners"

/**
 * struct place - the endpoint of one listener, by which edges are found
 * @addr:	all zero but for the family, which may be AF_UNSPEC: a wildcard
 * @space:	protocol_port_space()
 * @spec:	index of the listener
 */
struct place {
	struct ip_addr addr;
	uint16_t port;
	enum protocol space;
	size_t spec;
};

/* A listener is DONE when no way leads from it back to the path. */
enum state { UNSEEN, ON_PATH, DONE };

/** struct step - a listener on the path, and which of its backends is next */
struct step {
	size_t spec;
	size_t backend;
	size_t addr;
};

/**
 * struct circles - the state of one circles_refuse()
 * @local:	the namespace's addresses, sorted
 * @states:	of each listener
 * @path:	from the listener that the walk began with to the one at hand
 */
struct circles {
	struct plan *plan;
	const struct netns *netns;
	bool (*is_here)(const char *name, void *user_data);
	void *user_data;
	struct place *places;
	size_t n_places;
	struct ip_addr *local;
	enum state *states;
	struct step *path;
	size_t n_path;
};

static int addr_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ip_addr));
}

static int place_compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return addr_compare(&x->addr, &y->addr);
}

/* Does the listener forward into its own namespace? */
static bool leads_here(const struct circles *circles,
		       const struct listener_spec *spec)
{
	const struct service *service = spec->service;

	if (spec->refusal || service->action != SERVICE_FORWARD)
		return false;
	if (!service->netns)
		return circles->netns->host;
	return circles->is_here &&
	       circles->is_here(service->netns, circles->user_data);
}

/* Sets each listener's first state: UNSEEN if it forwards into its own
 * namespace, else DONE. Return: is any UNSEEN? */
static bool find_starts(struct circles *circles)
{
	const struct listener_spec *specs = circles->plan->specs;
	bool here = false, any = false;

	for (size_t i = 0; i < circles->plan->n_specs; i++) {
		/* Listeners of one `listen` entry share a service. */
		if (i == 0 || specs[i].refusal || specs[i - 1].refusal ||
		    specs[i].service != specs[i - 1].service)
			here = leads_here(circles, &specs[i]);
		circles->states[i] = here ? UNSEEN : DONE;
		any |= here;
	}
	return any;
}

static void add_places(struct circles *circles, size_t i)
{
	const struct listener_spec *spec = &circles->plan->specs[i];
	struct place place = {
		.addr = endpoint_addr(&spec->endpoint),
		.port = spec->endpoint.port,
		.space = protocol_port_space(spec->endpoint.protocol),
		.spec = i,
	};

	if (!spec->endpoint.multihomed) {
		circles->places[circles->n_places++] = place;
		return;
	}
	for (size_t k = 0; k < spec->n_addrs; k++) {
		place.addr = spec->addrs[k];
		circles->places[circles->n_places++] = place;
	}
}

static int sort_places(struct circles *circles)
{
	const struct plan *plan = circles->plan;
	size_t n = 0;

	for (size_t i = 0; i < plan->n_specs; i++)
		n += plan->specs[i].endpoint.multihomed ? plan->specs[i].n_addrs
							: 1;
	circles->places = calloc(n ? n : 1, sizeof(*circles->places));
	if (!circles->places)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_specs; i++) {
		/* Other listeners have no edges. */
		if (circles->states[i] != DONE)
			add_places(circles, i);
	}
	qsort(circles->places, circles->n_places, sizeof(*circles->places),
	      place_compare);
	return 0;
}

static int sort_local(struct circles *circles)
{
	const struct netns *netns = circles->netns;
	size_t n = netns->n_addresses;

	circles->local = calloc(n ? n : 1, sizeof(*circles->local));
	if (!circles->local)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		circles->local[i] = netns->addresses[i].addr;
	qsort(circles->local, n, sizeof(*circles->local), addr_compare);
	return 0;
}

static bool is_local(const struct circles *circles, const struct ip_addr *addr)
{
	if (ip_addr_is_loopback(addr))
		return true;
	if (!circles->netns->observed)
		circles->plan->needs_addresses = true;
	return bsearch(addr, circles->local, circles->netns->n_addresses,
		       sizeof(*addr), addr_compare) != NULL;
}

static const struct place *find_place(const struct circles *circles,
				      struct place key, struct ip_addr addr)
{
	key.addr = addr;
	return bsearch(&key, circles->places, circles->n_places, sizeof(key),
		       place_compare);
}

/* The address that a connection to @addr reaches: the unspecified address
 * reaches the loopback address, an IPv4-mapped one its IPv4 address. */
static struct ip_addr reached(const struct ip_addr *addr)
{
	static const struct ip_addr loopback4 = { AF_INET, { 127, 0, 0, 1 } };
	static const struct ip_addr loopback6 = { AF_INET6, { [15] = 1 } };
	struct sockaddr_storage sa;
	struct ip_addr plain = *addr;

	(void)ip_addr_to_sockaddr(addr, 0, 0, &sa);
	(void)ip_addr_from_sockaddr(&sa, &plain, NULL); /* is of a family */
	if (ip_addr_is_any(&plain))
		return plain.family == AF_INET ? loopback4 : loopback6;
	return plain;
}

/* Finds the listener whose endpoint is a backend of @spec. Several listeners
 * can have one address if each is bound to an interface; if @spec is one of
 * them, it is preferred, and forwards to itself. */
static bool find_listener(const struct circles *circles, size_t spec,
			  const struct place *key, size_t *ret_spec)
{
	const struct endpoint *own = &circles->plan->specs[spec].endpoint;
	const struct ip_addr own_addr = endpoint_addr(own);
	const struct place *place = find_place(circles, *key, key->addr);
	bool wildcard = !place;

	if (!place)
		place = find_place(
			circles, *key,
			(struct ip_addr){ .family = key->addr.family });
	if (!place)
		place = find_place(circles, *key, (struct ip_addr){ 0 });
	if (!place || (wildcard && !is_local(circles, &key->addr)))
		return false;
	*ret_spec = place->spec;
	if (own->port == key->port &&
	    protocol_port_space(own->protocol) == key->space &&
	    ip_addr_equal(&own_addr, &place->addr))
		*ret_spec = spec;
	return true;
}

/* Finds the listener that the step's next backends lead to. Return: false when
 * none of the backends that are left leads to a listener. */
static bool next_listener(const struct circles *circles, struct step *step,
			  size_t *ret_spec)
{
	const struct listener_spec *spec = &circles->plan->specs[step->spec];
	struct backend backend;
	struct place key = { 0 };

	for (; step->backend < spec->service->n_to; step->backend++) {
		if (backend_parse(spec->service->to[step->backend], &backend,
				  NULL) < 0 ||
		    backend.scheme == SCHEME_UNIX)
			continue;
		key.space = scheme_protocol(backend.scheme,
					    spec->endpoint.protocol);
		key.port = backend.addrs.port;
		while (step->addr < backend.addrs.n) {
			key.addr = reached(&backend.addrs.addrs[step->addr++]);
			if (find_listener(circles, step->spec, &key, ret_spec))
				return true;
		}
		step->addr = 0;
	}
	return false;
}

static void path_add(struct circles *circles, size_t spec)
{
	circles->states[spec] = ON_PATH;
	circles->path[circles->n_path++] = (struct step){ .spec = spec };
}

static void path_leave(struct circles *circles)
{
	circles->states[circles->path[--circles->n_path].spec] = DONE;
}

static void walk_from(struct circles *circles, size_t first)
{
	struct step *step;
	size_t next;

	path_add(circles, first);
	while (circles->n_path > 0) {
		step = &circles->path[circles->n_path - 1];
		if (!next_listener(circles, step, &next)) {
			path_leave(circles);
		} else if (circles->states[next] == UNSEEN) {
			path_add(circles, next);
		} else if (circles->states[next] == ON_PATH) {
			circles->plan->specs[step->spec].refusal =
				next == step->spec ? TO_ITSELF : IN_A_CIRCLE;
			path_leave(circles);
		}
	}
}

int circles_refuse(struct plan *plan, const struct netns *netns,
		   bool (*is_here)(const char *name, void *user_data),
		   void *user_data)
{
	size_t n = plan->n_specs;
	_cleanup_free_ enum state *states = calloc(n ? n : 1, sizeof(*states));
	_cleanup_free_ struct step *path = NULL;
	struct circles circles = { .plan = plan,
				   .netns = netns,
				   .is_here = is_here,
				   .user_data = user_data,
				   .states = states };
	int r;

	if (!states)
		return -ENOMEM;
	if (!find_starts(&circles))
		return 0;
	circles.path = path = calloc(n, sizeof(*path));
	r = path ? sort_places(&circles) : -ENOMEM;
	if (r == 0)
		r = sort_local(&circles);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (states[i] == UNSEEN)
			walk_from(&circles, i);
	}
	free(circles.places);
	free(circles.local);
	return r;
}
