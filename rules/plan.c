// SPDX-License-Identifier: Apache-2.0
/* plan.c - from (rules, namespace) to wanted listeners
 *
 * Theory of operation: the rules are walked in order. If the conditions of a
 * rule hold, each of its listen entries yields protocols × ports × targets
 * endpoints. An endpoint that is free is claimed and becomes a spec; one that
 * an earlier rule holds becomes a shadow.
 *
 * A container chooses how many addresses it has, and the writer of the rules
 * how many ports; the product can be hundreds of millions. So both lists end
 * at `max`. Once the specs are full, further ones are only counted; once the
 * shadows are full, a port that a wildcard has closed is not tried address by
 * address. So the work is bounded by one step for each port and one for each
 * entry of the two lists.
 *
 * Addresses are deduplicated once per plan: candidates with the same address
 * and scope are one group, and the first of a group that satisfies a rule
 * stands for the group. Sockets that are bound to an interface need one for
 * each interface that has the address: candidates with the same address and
 * interface are one place.
 */
#include "rules/plan.h"

#include <assert.h>
#include <string.h>

#include "common/backend.h"
#include "common/backend_socket.h"
#include "common/http_syntax.h"
#include "common/service_http.h"
#include "common/utf8.h"
#include "common/util.h"
#include "rules/claims.h"
#include "rules/match.h"
#include "rules/plan_provide.h"
#include "rules/rule.h"
#include "rules/template.h"

#define UNSAFE_NAME \
	"a name that would go into the backend's path holds \"/\" or \"..\""
#define NO_LABEL                                                        \
	"the container has no value for a label, or no pod namespace, " \
	"that the backend's path needs"
#define NO_GROUP "a named group that the backend's path needs matched nothing"
#define TLV_NO_LABEL                                                    \
	"the container has no value for a label, or no pod namespace, " \
	"that one of \"tlvs\" needs"
#define TLV_NO_GROUP "a named group that one of \"tlvs\" needs matched nothing"
#define TLV_LONG "\"tlvs\" get too long with the names filled in"
#define HEADER_NO_LABEL                                                 \
	"the container has no value for a label, or no pod namespace, " \
	"that one of \"set_headers\" needs"
#define HEADER_NO_GROUP \
	"a named group that one of \"set_headers\" needs matched nothing"
#define HEADER_CONTROL \
	"a name that would go into a header holds a control character"
#define HEADER_LONG "\"set_headers\" get too long with the names filled in"
#define NO_SOURCE "\"from\" has no address of the backend's family"
#define LONG_PATH "the backend's path gets too long with the names filled in"

/**
 * struct alike - a partition of the candidates: those that are alike count as
 * one
 * @of:	for each candidate, the index of one that is like it and stands
 *		for it
 * @seen:	for each that @of names, the last rule (index + 1) that one of
 *		its kind matched
 * @matched:	the candidates that satisfy the rule at hand, one of each
 *		kind
 * @n4:		how many of these are IPv4
 */
struct alike {
	size_t *of;
	size_t *seen;
	const struct candidate **matched;
	size_t n;
	size_t n4;
};

/**
 * struct planner - the state of one plan_make()
 * @candidates:	usable addresses; NULL until a rule needs them
 * @groups, @places: see above
 * @netns_name:	the name through which the rule at hand matches
 * @container:	the container through which it does; NULL: it has no conditions
 *		on containers
 * @not_before_us: when its listeners are opened
 * @skipped:	a container asks for no listeners
 * @expanded:	the last service made for the listen entry at hand, reusable
 *		when its templates do not differ between listeners
 */
struct planner {
	const struct netns *netns;
	size_t max;
	struct plan plan;
	size_t spec_room;
	size_t shadow_room;
	struct claims claims;
	struct candidate *candidates;
	size_t n_candidates;
	struct alike groups;
	struct alike places;
	struct ip_addr *all_addrs;
	size_t n_all_addrs;
	const struct rule *rule;
	size_t rule_number;
	const char *netns_name;
	const struct container *container;
	uint64_t not_before_us;
	bool skipped;
	struct service *expanded;
	const char *expanded_refusal;
};

static int candidate_compare(const void *a, const void *b, void *candidates)
{
	const struct candidate *list = candidates;
	size_t ia = *(const size_t *)a, ib = *(const size_t *)b;
	int r = memcmp(&list[ia].address->addr, &list[ib].address->addr,
		       sizeof(struct ip_addr));

	if (r != 0)
		return r;
	if (list[ia].address->ifindex != list[ib].address->ifindex)
		return list[ia].address->ifindex < list[ib].address->ifindex
			       ? -1
			       : 1;
	return ia < ib ? -1 : ia > ib;
}

static bool same_group(const struct candidate *a, const struct candidate *b)
{
	return a->scope_id == b->scope_id &&
	       ip_addr_equal(&a->address->addr, &b->address->addr);
}

static bool same_place(const struct candidate *a, const struct candidate *b)
{
	return a->address->ifindex == b->address->ifindex &&
	       ip_addr_equal(&a->address->addr, &b->address->addr);
}

static int alike_new(struct alike *alike, size_t n)
{
	alike->of = calloc(n, sizeof(*alike->of));
	alike->seen = calloc(n, sizeof(*alike->seen));
	alike->matched = calloc(n, sizeof(*alike->matched));
	return alike->of && alike->seen && alike->matched ? 0 : -ENOMEM;
}

static void alike_done(struct alike *alike)
{
	free(alike->of);
	free(alike->seen);
	free(alike->matched);
}

/* Notes whether candidate @i is alike (@same) to @before, its predecessor in
 * the sorted order. */
static void alike_note(struct alike *alike, size_t before, size_t i, bool same)
{
	alike->of[i] = same ? alike->of[before] : i;
}

/* Gives each candidate its group and its place. Candidates are sorted, not
 * hashed: a container chooses its addresses and could choose ones that
 * collide. The scope of a link-local address is its interface, so one order
 * fits both. */
static int find_groups(struct planner *planner)
{
	const struct candidate *list = planner->candidates;
	size_t n = planner->n_candidates;
	_cleanup_free_ size_t *order = calloc(n ? n : 1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), candidate_compare,
		planner->candidates);
	for (size_t i = 0; i < n; i++) {
		size_t before = i > 0 ? order[i - 1] : order[i];
		const struct candidate *a = &list[before], *b = &list[order[i]];

		alike_note(&planner->groups, before, order[i],
			   i > 0 && same_group(a, b));
		alike_note(&planner->places, before, order[i],
			   i > 0 && same_place(a, b));
	}
	return 0;
}

static int need_candidates(struct planner *planner)
{
	size_t n;
	int r;

	if (planner->candidates)
		return 0;
	r = candidates_new(planner->netns, &planner->candidates,
			   &planner->n_candidates);
	if (r < 0)
		return r;
	n = planner->n_candidates ? planner->n_candidates : 1;
	planner->all_addrs = calloc(n, sizeof(*planner->all_addrs));
	if (!planner->all_addrs || alike_new(&planner->groups, n) < 0 ||
	    alike_new(&planner->places, n) < 0)
		return -ENOMEM;
	return find_groups(planner);
}

static void forget_matched(struct planner *planner)
{
	planner->groups.n = planner->groups.n4 = 0;
	planner->places.n = planner->places.n4 = 0;
	planner->n_all_addrs = 0;
}

/* Notes that candidate @i satisfies the rule at hand. Return: is it the first
 * of its kind that does? */
static bool alike_match(struct alike *alike, const struct planner *planner,
			size_t i)
{
	const struct candidate *c = &planner->candidates[i];
	size_t *seen = &alike->seen[alike->of[i]];

	if (*seen == planner->rule_number)
		return false;
	*seen = planner->rule_number;
	alike->matched[alike->n++] = c;
	if (c->address->addr.family == AF_INET)
		alike->n4++;
	return true;
}

/* Finds the candidates that satisfy the rule at hand. */
static int match_candidates(struct planner *planner)
{
	int r = need_candidates(planner);

	forget_matched(planner);
	for (size_t i = 0; i < planner->n_candidates && r == 0; i++) {
		const struct candidate *c = &planner->candidates[i];

		if (!match_candidate(&planner->rule->match, c))
			continue;
		(void)alike_match(&planner->places, planner, i);
		/* A struct ip_addr has no scope, so a link-local address
		 * cannot be one of a multihomed endpoint. */
		if (alike_match(&planner->groups, planner, i) && !c->scope_id)
			planner->all_addrs[planner->n_all_addrs++] =
				c->address->addr;
	}
	return r;
}

static bool specs_full(const struct planner *planner)
{
	return planner->plan.n_specs >= planner->max;
}

/* Room for one more element of @size; the capacity doubles. */
static int make_room(void *list, size_t n, size_t *room, size_t size)
{
	size_t wanted = *room ? *room * 2 : 4;
	void *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*(void **)list, wanted, size);
	if (!grown)
		return -ENOMEM;
	*(void **)list = grown;
	*room = wanted;
	return 0;
}

static int add_shadow(struct planner *planner, const struct endpoint *endpoint,
		      const struct claim_holder *holder)
{
	struct plan *plan = &planner->plan;

	if (plan->n_shadows >= planner->max)
		return 0;
	if (make_room(&plan->shadows, plan->n_shadows, &planner->shadow_room,
		      sizeof(*plan->shadows)) < 0)
		return -ENOMEM;
	plan->shadows[plan->n_shadows++] = (struct plan_shadow){
		.endpoint = *endpoint,
		.winner_endpoint = holder->endpoint,
		.rule = planner->rule->name,
		.winner = holder->rule,
	};
	return 0;
}

/* Why template_expand() or backend_parse() failed. */
static const char *expand_refusal(int error)
{
	switch (error) {
	case -EPERM:
		return UNSAFE_NAME;
	case -ENOKEY:
		return NO_LABEL;
	case -ENODATA:
		return NO_GROUP;
	default:
		return LONG_PATH;
	}
}

/* Puts the values into each backend of @service, which is not shared yet. */
static int expand_backends(struct service *service,
			   const struct template_values *values,
			   const char **ret_refusal)
{
	char buffer[BACKEND_TEXT_MAX];
	struct backend backend = { .scheme = SCHEME_NONE };

	for (size_t i = 0; i < service->n_to; i++) {
		char *text;
		int r = template_expand(service->to[i], values, buffer,
					sizeof(buffer));

		if (r == 0)
			r = backend_parse(buffer, &backend, NULL);
		if (r < 0) {
			*ret_refusal = expand_refusal(r);
			return 0;
		}
		if (service->n_from > 0 &&
		    !backend_source_find(service->from, service->n_from,
					 backend.address.ss_family)) {
			*ret_refusal = NO_SOURCE;
			return 0;
		}
		text = strdup(buffer);
		if (!text)
			return -ENOMEM;
		free(service->to[i]);
		service->to[i] = text;
	}
	return 0;
}

/* Why a TLV cannot be filled in. */
static const char *tlv_refusal(int error)
{
	switch (error) {
	case -ENOKEY:
		return TLV_NO_LABEL;
	case -ENODATA:
		return TLV_NO_GROUP;
	default:
		return TLV_LONG;
	}
}

/* Puts the values into each TLV of @service, which is not shared yet. */
static int expand_tlvs(struct service *service,
		       const struct template_values *backend_values,
		       const char **ret_refusal)
{
	struct template_values values = *backend_values;
	char buffer[SERVICE_TLVS_BYTES_MAX];

	values.plain = true;
	for (size_t i = 0; i < service->n_tlvs && !*ret_refusal; i++) {
		struct service_tlv *tlv = &service->tlvs[i];
		int r = template_expand(tlv->value, &values, buffer,
					sizeof(buffer));

		if (r < 0) {
			*ret_refusal = tlv_refusal(r);
			return 0;
		}
		free(tlv->value);
		tlv->value = utf8_escape(buffer);
		if (!tlv->value)
			return -ENOMEM;
	}
	if (service_tlvs_bytes(service->tlvs, service->n_tlvs) >
	    SERVICE_TLVS_BYTES_MAX)
		*ret_refusal = TLV_LONG;
	return 0;
}

/* Why a header cannot be filled in. */
static const char *header_refusal(int error)
{
	switch (error) {
	case -ENOKEY:
		return HEADER_NO_LABEL;
	case -ENODATA:
		return HEADER_NO_GROUP;
	default:
		return HEADER_LONG;
	}
}

/* Puts the values into each header of @service, which is not shared yet. */
static int expand_headers(struct service *service,
			  const struct template_values *backend_values,
			  const char **ret_refusal)
{
	struct template_values values = *backend_values;
	struct service_http *http = service->http;
	char buffer[SERVICE_HTTP_BYTES_MAX];

	values.plain = true;
	values.header = true;
	for (size_t i = 0; i < http->n_set && !*ret_refusal; i++) {
		struct service_header *header = &http->set[i];
		int r = template_expand(header->value, &values, buffer,
					sizeof(buffer));

		if (r == -ENOMEM)
			return r;
		if (r < 0)
			*ret_refusal = header_refusal(r);
		else if (!http_is_value(buffer, strlen(buffer)))
			*ret_refusal = HEADER_CONTROL;
		if (*ret_refusal)
			return 0;
		free(header->value);
		header->value = utf8_escape(buffer);
		if (!header->value)
			return -ENOMEM;
	}
	if (service_http_bytes(http) > SERVICE_HTTP_BYTES_MAX)
		*ret_refusal = HEADER_LONG;
	return 0;
}

/* The service of one listener: the entry's own, or a copy with its templates
 * expanded. A reference is kept in planner->expanded. */
static int expand_service(struct planner *planner, const struct listen *listen,
			  const struct endpoint *endpoint,
			  const struct candidate *candidate)
{
	const struct template_values values = {
		.namespace = planner->netns_name,
		.ifname = candidate ? candidate->ifname : "",
		.addr = endpoint_addr(endpoint),
		.port = endpoint->port,
		.container = planner->container,
		.match = &planner->rule->match,
		.rule = planner->rule->name,
	};
	int r;

	if (planner->expanded && !(listen->uses & TEMPLATE_OF_LISTENER))
		return 0;
	service_unref(planner->expanded);
	planner->expanded_refusal = NULL;
	if (!listen->uses) {
		planner->expanded = service_ref(listen->service);
		return 0;
	}
	planner->expanded = service_copy(listen->service);
	if (!planner->expanded)
		return -ENOMEM;
	r = expand_backends(planner->expanded, &values,
			    &planner->expanded_refusal);
	if (r < 0 || planner->expanded_refusal)
		return r;
	r = expand_tlvs(planner->expanded, &values, &planner->expanded_refusal);
	if (r < 0 || planner->expanded_refusal || !planner->expanded->http)
		return r;
	return expand_headers(planner->expanded, &values,
			      &planner->expanded_refusal);
}

static int add_spec(struct planner *planner, const struct listen *listen,
		    const struct endpoint *endpoint,
		    const struct candidate *candidate)
{
	struct plan *plan = &planner->plan;
	struct listener_spec *spec;

	if (make_room(&plan->specs, plan->n_specs, &planner->spec_room,
		      sizeof(*plan->specs)) < 0 ||
	    expand_service(planner, listen, endpoint, candidate) < 0)
		return -ENOMEM;
	spec = &plan->specs[plan->n_specs];
	*spec = (struct listener_spec){
		.endpoint = *endpoint,
		.freebind = listen->address == LISTEN_LITERAL &&
			    !endpoint_is_wildcard(endpoint),
		.observed = listen->address == LISTEN_EACH,
		.container = planner->container ? planner->container->name
						: NULL,
		.not_before_us = planner->not_before_us,
		.refusal = planner->expanded_refusal,
	};
	if (candidate)
		memcpy(spec->ifname, candidate->ifname,
		       strnlen(candidate->ifname, IF_NAMESIZE - 1));
	if (endpoint->multihomed) {
		spec->addrs =
			calloc(planner->n_all_addrs, sizeof(*spec->addrs));
		if (!spec->addrs)
			return -ENOMEM;
		spec->n_addrs = planner->n_all_addrs;
		memcpy(spec->addrs, planner->all_addrs,
		       spec->n_addrs * sizeof(*spec->addrs));
	}
	spec->service = service_ref(planner->expanded);
	plan->n_specs++;
	return 0;
}

static int want(struct planner *planner, const struct listen *listen,
		const struct endpoint *endpoint,
		const struct candidate *candidate)
{
	bool multihomed = endpoint->multihomed;
	struct claim_holder holder;
	int r;

	if (specs_full(planner)) {
		planner->plan.omitted++;
		return 0;
	}
	r = claims_take(&planner->claims, endpoint,
			multihomed ? planner->all_addrs : NULL,
			multihomed ? planner->n_all_addrs : 0,
			planner->rule->name, &holder);
	if (r < 0)
		return r;
	if (r == 0)
		return add_shadow(planner, endpoint, &holder);
	return add_spec(planner, listen, endpoint, candidate);
}

static void set_addr(struct endpoint *endpoint, const struct ip_addr *addr)
{
	endpoint->family = addr->family;
	memcpy(endpoint->addr, addr->bytes, sizeof(endpoint->addr));
}

static int want_each(struct planner *planner, const struct listen *listen,
		     struct endpoint *endpoint)
{
	bool bound = listen->service->options.interface_bound;
	const struct alike *wanted = bound ? &planner->places
					   : &planner->groups;
	size_t n = wanted->n, n4 = wanted->n4;
	const struct candidate *c;
	int r = 0;

	if (planner->plan.n_shadows >= planner->max &&
	    claims_port_closed(&planner->claims, endpoint->protocol,
			       endpoint->port, n4 > 0, n > n4))
		return 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (specs_full(planner)) {
			planner->plan.omitted += n - i;
			return 0;
		}
		c = wanted->matched[i];
		set_addr(endpoint, &c->address->addr);
		endpoint->scope_id = c->scope_id;
		endpoint->bound_ifindex = bound ? c->address->ifindex : 0;
		r = want(planner, listen, endpoint, c);
	}
	return r;
}

static int want_literals(struct planner *planner, const struct listen *listen,
			 struct endpoint *endpoint)
{
	int r = 0;

	for (size_t i = 0; i < listen->n_literals && r == 0; i++) {
		set_addr(endpoint, &listen->literals[i]);
		r = want(planner, listen, endpoint, NULL);
	}
	return r;
}

static int want_port(struct planner *planner, const struct listen *listen,
		     enum protocol protocol, uint16_t port)
{
	struct endpoint endpoint = { .protocol = (uint8_t)protocol,
				     .port = port };

	switch (listen->address) {
	case LISTEN_ANY:
		break;
	case LISTEN_ANY4:
		endpoint.family = AF_INET;
		break;
	case LISTEN_ANY6:
		endpoint.family = AF_INET6;
		break;
	case LISTEN_EACH:
		return want_each(planner, listen, &endpoint);
	case LISTEN_ALL:
		if (planner->n_all_addrs == 0)
			return 0;
		endpoint.multihomed = 1;
		break;
	case LISTEN_LITERAL:
		return want_literals(planner, listen, &endpoint);
	}
	return want(planner, listen, &endpoint, NULL);
}

static int plan_listen(struct planner *planner, const struct listen *listen)
{
	int r = 0;

	planner->expanded = service_unref(planner->expanded);
	for (size_t p = 0; p < listen->n_protocols; p++) {
		for (size_t i = 0; i < listen->n_ports; i++) {
			const struct port_range *range = &listen->ports[i];

			/* The counter is wider than a port, or a range up to
			 * 65535 would never end. */
			for (uint32_t port = range->first;
			     port <= range->last && r == 0; port++)
				r = want_port(planner, listen,
					      listen->protocols[p],
					      (uint16_t)port);
		}
	}
	return r;
}

/* Does the rule at hand hold? If addresses are needed and not known, this is
 * noted in the plan. */
static int rule_holds(struct planner *planner, bool *ret_holds)
{
	const struct match *match = &planner->rule->match;
	bool needed = rule_uses_addresses(planner->rule);
	int r;

	*ret_holds = false;
	planner->netns_name = match_netns(match, planner->netns);
	planner->container = match_container(match, planner->netns);
	if (!planner->netns_name ||
	    (match->on_containers && !planner->container) ||
	    (planner->skipped && !match->ignores_skip) ||
	    match_unless(match, planner->netns))
		return 0;
	planner->not_before_us = match_not_before(match, planner->netns);
	forget_matched(planner);
	if (needed && !planner->netns->observed)
		planner->plan.needs_addresses = true;
	else if (needed) {
		r = match_candidates(planner);
		if (r < 0)
			return r;
	}
	*ret_holds = !match->on_addresses || planner->groups.n > 0;
	return 0;
}

static int plan_rules(struct planner *planner, const struct ruleset *ruleset)
{
	bool holds;
	int r = 0;

	for (size_t i = 0; i < ruleset->n_rules && r == 0; i++) {
		planner->rule = ruleset->rules[i];
		planner->rule_number = i + 1;
		r = rule_holds(planner, &holds);
		if (r < 0 || !holds)
			continue;
		r = plan_provide(&planner->plan.provisions,
				 &planner->plan.n_provisions, planner->rule,
				 planner->netns);
		for (size_t k = 0; k < planner->rule->n_listens && r == 0; k++)
			r = plan_listen(planner, &planner->rule->listens[k]);
	}
	return r;
}

int plan_make(const struct ruleset *ruleset, const struct netns *netns,
	      size_t max, struct plan *ret_plan)
{
	struct planner planner = { .netns = netns,
				   .max = max,
				   .skipped = match_skip(netns) != NULL };
	int r = plan_rules(&planner, ruleset);

	service_unref(planner.expanded);
	claims_done(&planner.claims);
	free(planner.candidates);
	alike_done(&planner.groups);
	alike_done(&planner.places);
	free(planner.all_addrs);
	if (r < 0) {
		plan_done(&planner.plan);
		return r;
	}
	*ret_plan = planner.plan;
	return 0;
}

void plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_specs; i++)
		listener_spec_done(&plan->specs[i]);
	free(plan->specs);
	free(plan->shadows);
	free(plan->provisions);
	*plan = (struct plan){ 0 };
}
