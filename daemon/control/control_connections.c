// SPDX-License-Identifier: Apache-2.0
/* control_connections.c - the method ListConnections
 *
 * Theory of operation: only the consumers know their connections. They are
 * asked one after the other, and each part by part: the next part is asked for
 * when the client of the control service has read the last one. So berthd has
 * at most one part of one consumer in memory for each call.
 */
#include "daemon/control/control_connections.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "binder/binder.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/consumers.h"
#include "daemon/consumers/questions.h"
#include "daemon/control/caller.h"
#include "daemon/control/describe.h"
#include "daemon/control/find.h"
#include "daemon/control/id_list.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "rules/rules.h"
#include "watcher/watcher.h"

/* Parts of one consumer: millions of connections. A consumer that has always
 * more to say is not listened to for ever. */
#define PARTS_MAX 100000

/**
 * struct wanted - which connections are listed
 * @rule:	of a rule of this name; NULL: of any
 * @listener:	of this listener; 0: of any
 * @netns:	with @n_netns: of these namespaces
 */
struct wanted {
	char *rule;
	uint64_t listener;
	uint64_t netns[FIND_MAX];
	size_t n_netns;
};

/**
 * struct connections - the state of one list
 * @began_us:	connections that began later are not listed
 * @parties:	numbers of connections of consumers that are still to be asked
 * @party:	the number of the one that is asked now; 0: none is
 * @question, @waits: to it, and whether it is not answered yet
 * @part:	its last answer; @index: what is listed next of it
 * @next:	where its next part begins; 0: there is none
 * @silent, @n_silent, @silent_index: names of consumers
 */
struct connections {
	struct watcher *watcher;
	struct binder *binder;
	struct consumers *consumers;
	struct varlink_output *output;
	struct wanted wanted;
	uint64_t began_us;
	struct id_list parties;
	uint64_t party;
	struct consumer_question question;
	bool waits;
	json_t *part;
	size_t index;
	uint64_t next;
	size_t n_parts;
	json_t *silent;
	size_t silent_index;
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->rule);
	wanted->rule = NULL;
}

static void connections_free(void *state)
{
	struct connections *list = state;

	if (list->waits)
		consumers_cancel(&list->question);
	json_decref(list->part);
	json_decref(list->silent);
	id_list_done(&list->parties);
	wanted_done(&list->wanted);
	free(list);
}

/* What a client is */

static bool is_wanted(const struct wanted *wanted, uint64_t listener,
		      const struct consumer_held_listener *held)
{
	size_t i = 0;

	if (wanted->listener && wanted->listener != listener)
		return false;
	if (wanted->rule && strcmp(wanted->rule, held->service->rule) != 0)
		return false;
	while (i < wanted->n_netns && wanted->netns[i] != held->netns_id)
		i++;
	return wanted->n_netns == 0 || i < wanted->n_netns;
}

static json_t *local_json(const struct berth_connection *client,
			  const struct endpoint *endpoint)
{
	char address[IP_TEXT_MAX], text[ENDPOINT_TEXT_MAX];

	if (*client->local)
		return json_text(client->local);
	(void)endpoint_addr_fmt(endpoint, address);
	(void)snprintf(text, sizeof(text),
		       strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
		       endpoint->port); /* fits */
	return json_text(text);
}

/* Whom the client reached: a rule with conditions on containers says through
 * which one it matches; else the namespace may have only one. */
static void put_container(json_t **object, const struct listener *listener,
			  const struct netns *netns)
{
	if (listener && listener->container)
		describe_container_of(object, listener);
	else if (netns && netns->n_containers == 1)
		json_put(object, "container",
			 json_text(netns->containers[0]->name));
}

static json_t *client_json(const struct connections *list,
			   const struct consumer_party *party,
			   const struct berth_connection *client,
			   const struct consumer_held_listener *held)
{
	const struct netns *netns = watcher_find(list->watcher, held->netns_id);
	const struct listener *listener =
		binder_find(list->binder, client->listener);
	_cleanup_free_ char *id = NULL;
	json_t *object = json_object();

	if (asprintf(&id, "%s/%d/%" PRIu64, party->consumer, (int)party->pid,
		     client->id) < 0)
		id = NULL; /* asprintf(3) leaves it undefined */
	json_put(&object, "id", id ? json_text(id) : NULL);
	json_put(&object, "consumer", json_text(party->consumer));
	json_put(&object, "pid", json_integer(party->pid));
	json_put(&object, "listener", json_count(client->listener));
	json_put(&object, "namespace",
		 json_text(netns ? netns_label(netns) : ""));
	json_put(&object, "namespace_id", json_count(held->netns_id));
	json_put(&object, "rule", json_text(held->service->rule));
	json_put(&object, "protocol",
		 json_string(protocol_name(held->endpoint->protocol)));
	json_put(&object, "client", json_text(client->client));
	json_put(&object, "local", local_json(client, held->endpoint));
	json_put(&object, "backend",
		 *client->backend ? json_text(client->backend) : json_null());
	json_put(&object, "state", json_text(client->state));
	json_put(&object, "draining", json_boolean(held->draining));
	json_put(&object, "age_us", json_count(client->age_ms * USEC_PER_MSEC));
	json_put(&object, "idle_us",
		 json_count(client->idle_ms * USEC_PER_MSEC));
	json_put(&object, "bytes_in", json_count(client->bytes_in));
	json_put(&object, "bytes_out", json_count(client->bytes_out));
	put_container(&object, listener, netns);
	return object;
}

/* Of a listener that the consumer does not have, nothing is listed.
 * Return: 1; 0: nothing of the part is left; -ENOMEM. */
static int part_next(struct connections *list, json_t **ret_element)
{
	struct consumer_held_listener held;
	struct berth_connection client;
	struct consumer_party party;
	json_t *object;

	if (!consumers_find_connection(list->consumers, list->party, &party))
		return 0;
	while ((object = json_array_get(list->part, list->index))) {
		list->index++;
		if (consumer_client_parse(object, &client) < 0 ||
		    !consumers_find_held(list->consumers, list->party,
					 client.listener, &held) ||
		    !is_wanted(&list->wanted, client.listener, &held))
			continue;
		*ret_element = client_json(list, &party, &client, &held);
		return *ret_element ? 1 : -ENOMEM;
	}
	return 0;
}

/* Whom to ask */

static void note_silent(struct connections *list)
{
	struct consumer_party party;

	if (consumers_find_connection(list->consumers, list->party, &party))
		json_add(&list->silent, json_text(party.consumer));
}

static void part_drop(struct connections *list)
{
	json_decref(list->part);
	list->part = NULL;
	list->index = 0;
}

static void party_answered(const struct consumer_answer *answer,
			   void *user_data)
{
	struct connections *list = user_data;

	list->waits = false;
	list->next = answer->next;
	if (answer->error == 0)
		list->part = json_incref(answer->connections);
	else if (answer->error == -ETIMEDOUT)
		note_silent(list);
	varlink_output_wake(list->output);
}

/* Asks the connection for its next part. */
static void ask(struct connections *list)
{
	int r;

	list->question = (struct consumer_question){
		.number = list->next,
		.listener = list->wanted.listener,
		.min_age_ms = (monotonic_us() - list->began_us) / USEC_PER_MSEC,
		.answered = party_answered,
		.user_data = list,
	};
	list->next = 0;
	r = consumers_ask(list->consumers, list->party, &list->question);
	list->waits = r == 0;
	if (r == -ETIMEDOUT)
		note_silent(list);
}

/* Return: is there one that can be asked? */
static bool party_next(struct connections *list)
{
	if (list->next && ++list->n_parts < PARTS_MAX)
		return true;
	list->next = 0;
	list->n_parts = 0;
	list->party = id_list_next(&list->parties);
	return list->party;
}

static int connections_next(void *state, json_t **ret_element)
{
	struct connections *list = state;
	int r;

	while (!list->waits) {
		r = list->part ? part_next(list, ret_element) : 0;
		if (r != 0)
			return r;
		part_drop(list);
		if (!party_next(list))
			return list->silent ? 0 : -ENOMEM;
		ask(list);
	}
	return -EAGAIN;
}

static int silent_next(void *state, json_t **ret_element)
{
	struct connections *list = state;
	json_t *name = json_array_get(list->silent, list->silent_index);

	if (!name)
		return 0;
	list->silent_index++;
	*ret_element = json_incref(name);
	return 1;
}

static int add_party(const struct consumer_party *party, void *user_data)
{
	struct connections *list = user_data;

	return id_list_add(&list->parties, party->number);
}

/* What is wanted */

/** struct sought - something that may only drain */
struct sought {
	const char *rule;
	uint64_t id;
};

static int is_sought(const struct consumer_draining *info, void *user_data)
{
	const struct sought *sought = user_data;

	return (sought->rule &&
		strcmp(info->service->rule, sought->rule) == 0) ||
	       (sought->id && info->id == sought->id);
}

static bool is_rule(const struct control_connections *from, const char *text)
{
	struct sought sought = { .rule = text };

	return ruleset_has(rule_store_ruleset(from->rules), text) ||
	       consumers_each_draining(from->consumers, 0, is_sought, &sought);
}

/* Return: the id of a listener, open or draining; 0: @text is none. */
static uint64_t find_listener(const struct control_connections *from,
			      const char *text)
{
	struct sought sought = { .rule = NULL };
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	sought.id = strtoull(text, &end, 10);
	if (*end || sought.id == 0)
		return 0;
	if (binder_find(from->binder, sought.id) ||
	    consumers_each_draining(from->consumers, 0, is_sought, &sought))
		return sought.id;
	return 0;
}

/* Return: 0; -ENOENT; -ENOMEM. */
static int want_netns(struct wanted *wanted,
		      const struct control_connections *from, const char *text)
{
	struct netns *netns[FIND_MAX];
	size_t n;
	int r = find_netns(from->watcher, &caller_root, text, netns, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && i < FIND_MAX; i++)
		wanted->netns[wanted->n_netns++] = netns[i]->id;
	return n ? 0 : -ENOENT;
}

static int want_rule(struct wanted *wanted, const char *text)
{
	wanted->rule = strdup(text);
	return wanted->rule ? 0 : -ENOMEM;
}

/* The name of a rule comes first, then the number of a listener, then a
 * namespace. */
static int want_target(struct wanted *wanted,
		       const struct control_connections *from, const char *text)
{
	if (is_rule(from, text))
		return want_rule(wanted, text);
	wanted->listener = find_listener(from, text);
	return wanted->listener ? 0 : want_netns(wanted, from, text);
}

static void reply_none(struct varlink_call *call, const char *text)
{
	varlink_error(call, "NoSuchTarget",
		      json_pack("{s:s, s:s}", "target", text, "message",
				"there is no rule of this name, no listener "
				"of this number and no such namespace"));
}

/* Return: 0; else the call is answered. */
static int want(struct varlink_call *call,
		const struct control_connections *from, struct wanted *wanted)
{
	const char *target = varlink_call_string(call, "target");
	const char *netns = varlink_call_string(call, "namespace");
	const char *rule = varlink_call_string(call, "rule");
	int r = 0;

	if (target)
		r = want_target(wanted, from, target);
	if (r == -ENOENT) {
		reply_none(call, target);
		return r;
	}
	if (r == 0 && netns) {
		wanted->n_netns = 0;
		r = want_netns(wanted, from, netns);
	}
	if (r == -ENOENT) {
		find_error(call, from->watcher, &caller_root, netns);
		return r;
	}
	if (r == 0 && rule) {
		wanted_done(wanted);
		r = want_rule(wanted, rule);
	}
	if (r < 0)
		varlink_reply(call, NULL);
	return r;
}

void control_connections(struct varlink_call *call,
			 const struct control_connections *from)
{
	static const struct varlink_array arrays[] = {
		{ "connections", connections_next },
		{ "silent", silent_next },
	};
	struct connections *list = calloc(1, sizeof(*list));
	const struct varlink_list reply = {
		.arrays = arrays,
		.n_arrays = ARRAY_SIZE(arrays),
		.free = connections_free,
		.state = list,
	};

	if (!list) {
		varlink_reply(call, NULL);
		return;
	}
	list->binder = from->binder;
	list->watcher = from->watcher;
	list->consumers = from->consumers;
	list->output = varlink_call_output(call);
	list->began_us = monotonic_us();
	list->silent = json_array();
	if (want(call, from, &list->wanted) < 0) {
		connections_free(list);
	} else if (!list->silent ||
		   consumers_each_connection(from->consumers, add_party, list) <
			   0) {
		connections_free(list);
		varlink_reply(call, NULL);
	} else {
		varlink_reply_list(call, json_object(), &reply);
	}
}
