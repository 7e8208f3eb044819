// SPDX-License-Identifier: Apache-2.0
/* fetch.c - asks berthd for a sample
 *
 * Of listeners there may be very many: their lists are read as text, without a
 * tree, as show_listeners.c does.
 */
#include "ctl/top/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "common/util.h"
#include "ctl/show.h"

#define REPLY_US (30 * USEC_PER_SEC)

/**
 * struct question - one call of a sample
 * @array:	the member of the replies that add_text() gets; NULL: add_tree()
 *		gets all
 * @optional:	not everybody who may ask the others may ask this
 */
struct question {
	const char *method;
	const char *array;
	bool optional;
	int (*add_tree)(struct top_sample *sample, const json_t *reply);
	int (*add_text)(struct top_sample *sample, struct json_span array);
};

/** struct listener_row - a listener as its members are called */
struct listener_row {
	struct top_row row;
	int64_t id;
	int64_t netns_id;
	const char *protocol;
	const char *address;
	int64_t port;
	const char *interface;
	const char *reason;
	const char *health;
	const char *health_reason;
};

#define MEMBER(name, kind, field)                                             \
	{                                                                     \
		name, JSON_KIND_##kind, offsetof(struct listener_row, field), \
			NULL                                                  \
	}

/* In the order of berthd's replies. */
static const struct json_member counters[] = {
	MEMBER("accepted", NUMBER, row.counts.accepted),
	MEMBER("active", NUMBER, row.counts.active),
	MEMBER("bytes_in", NUMBER, row.counts.bytes_in),
	MEMBER("bytes_out", NUMBER, row.counts.bytes_out),
	{ .name = NULL },
};

static const struct json_member members[] = {
	MEMBER("id", NUMBER, id),
	MEMBER("namespace", TEXT, row.place),
	MEMBER("namespace_id", NUMBER, netns_id),
	MEMBER("protocol", TEXT, protocol),
	MEMBER("address", TEXT, address),
	MEMBER("port", NUMBER, port),
	MEMBER("rule", TEXT, row.rule),
	MEMBER("interface", TEXT, interface),
	MEMBER("state", TEXT, row.state),
	MEMBER("reason", TEXT, reason),
	{ "counters", JSON_KIND_OBJECT, 0, counters },
	MEMBER("age_us", NUMBER, row.age_us),
	MEMBER("container", TEXT, row.container),
	MEMBER("health", TEXT, health),
	MEMBER("health_reason", TEXT, health_reason),
	{ .name = NULL },
};

/* A listener that listens and cannot be reached is shown as that. */
static bool is_unwell(const struct listener_row *listener)
{
	return strcmp(listener->row.state, "listening") == 0 &&
	       *listener->health && strcmp(listener->health, "ok") != 0 &&
	       strcmp(listener->health, "unknown") != 0;
}

static int add_listener(struct top_sample *sample,
			struct listener_row *listener)
{
	struct top_row *row = &listener->row;
	bool v6 = strchr(listener->address, ':');
	_cleanup_free_ char *name = NULL;

	row->id = (uint64_t)listener->id;
	row->netns_id = (uint64_t)listener->netns_id;
	row->draining = strcmp(row->state, "draining") == 0;
	row->listening = strcmp(row->state, "listening") == 0;
	row->counted = row->counts.accepted >= 0;
	row->detail = listener->reason;
	if (is_unwell(listener)) {
		row->state = listener->health;
		row->detail = listener->health_reason;
	}
	if (asprintf(&name, "%s %s%s%s%s%s:%" PRId64, listener->protocol,
		     v6 ? "[" : "", listener->address,
		     *listener->interface ? "%" : "", listener->interface,
		     v6 ? "]" : "", listener->port) < 0) {
		name = NULL; /* asprintf(3) leaves it undefined */
		return -ENOMEM;
	}
	row->name = name;
	return top_sample_add(sample, TOP_LISTENERS, row);
}

static int add_listeners(struct top_sample *sample, struct json_span array)
{
	struct json_span element;
	int r = 0;

	while (r == 0 && (r = json_scan_next(&array, &element)) > 0) {
		struct listener_row listener = {
			.row = { .place = "",
				 .rule = "",
				 .state = "",
				 .container = "",
				 .counts.accepted = -1 },
			.protocol = "",
			.address = "",
			.interface = "",
			.reason = "",
			.health = "",
			.health_reason = "",
		};

		r = json_scan_read(element, members, &listener);
		if (r == 0)
			r = add_listener(sample, &listener);
	}
	return r;
}

/* Also writes the names of all containers into one text. */
static int add_containers(struct top_sample *sample, const json_t *containers,
			  const struct top_row *namespace, char **ret_names)
{
	size_t size, i;
	FILE *f = open_memstream(ret_names, &size);
	json_t *container;
	int r = f ? 0 : -ENOMEM;

	if (!f)
		return -ENOMEM;
	json_array_foreach (containers, i, container) {
		const struct top_row row = {
			.netns_id = namespace->id,
			.name = show_text(container, "name"),
			.place = namespace->name,
			.age_us = namespace->age_us,
		};

		(void)fprintf(f, "%s%s", i ? " " : "", row.name);
		if (r == 0)
			r = top_sample_add(sample, TOP_CONTAINERS, &row);
	}
	return fclose(f) == 0 ? r : -ENOMEM;
}

static int add_namespace(struct top_sample *sample, const json_t *namespace)
{
	const json_t *names = json_object_get(namespace, "names");
	uint64_t id = (uint64_t)show_number(namespace, "id");
	_cleanup_free_ char *containers = NULL;
	struct top_row row = {
		.id = id,
		.netns_id = id,
		.name = show_flag(namespace, "host")
				? "host"
				: show_text(json_array_get(names, 0), "name"),
		.age_us = show_number(namespace, "age_us"),
	};
	int r = add_containers(sample, json_object_get(namespace, "containers"),
			       &row, &containers);

	row.detail = containers;
	return r < 0 ? r : top_sample_add(sample, TOP_NAMESPACES, &row);
}

static int add_namespaces(struct top_sample *sample, const json_t *reply)
{
	const json_t *namespaces = json_object_get(reply, "namespaces");
	json_t *namespace;
	size_t i;
	int r = 0;

	json_array_foreach (namespaces, i, namespace) {
		if (r == 0)
			r = add_namespace(sample, namespace);
	}
	return r;
}

static int add_backends(struct top_sample *sample, const json_t *reply)
{
	const json_t *backends = json_object_get(reply, "backends");
	json_t *backend;
	size_t i;
	int r = 0;

	json_array_foreach (backends, i, backend) {
		const struct top_row row = {
			.name = show_text(backend, "backend"),
			.place = show_text(backend, "namespace"),
			.rule = show_text(backend, "rule"),
			.state = show_text(backend, "state"),
			.detail = show_text(backend, "reason"),
			.failures = show_number(backend, "failures"),
			.clients = show_number(backend, "connections"),
			.age_us = show_number(backend, "since_us"),
		};

		if (r == 0)
			r = top_sample_add(sample, TOP_BACKENDS, &row);
	}
	return r;
}

static const struct question questions[] = {
	{ .method = "io.berth.ListNamespaces", .add_tree = add_namespaces },
	{ .method = "io.berth.ListListeners",
	  .array = "listeners",
	  .add_text = add_listeners },
	{ .method = "io.berth.ListBackends",
	  .optional = true,
	  .add_tree = add_backends },
};

static void fail(struct top_failure *failure, int error)
{
	failure->error = error;
	failure->code = EXIT_UNREACHABLE;
	(void)snprintf(failure->text, sizeof(failure->text), "%s",
		       strerror(-error));
}

/* Return: 0: it does not matter; -1. */
static int refused(const struct question *question,
		   const struct client_reply *reply,
		   struct top_failure *failure)
{
	const char *reason = show_text(reply->parameters, "reason");
	bool forbidden = strcmp(reply->error, "io.berth.NotPermitted") == 0;

	if (question->optional && forbidden)
		return 0;
	failure->error = 0;
	failure->code = forbidden ? EXIT_NOT_PERMITTED : EXIT_BAD;
	(void)snprintf(failure->text, sizeof(failure->text), "%s",
		       *reason ? reason : reply->error);
	return -1;
}

static int read_replies(struct client *client, const struct question *question,
			struct top_sample *sample, struct top_failure *failure)
{
	struct client_reply reply;
	bool continues = true;
	int r;

	while (continues) {
		r = client_next(client, question->array, &reply);
		if (r < 0) {
			fail(failure, r);
			return -1;
		}
		continues = reply.continues;
		if (reply.error) {
			r = refused(question, &reply, failure);
			client_reply_done(&reply);
			return r;
		}
		r = question->array
			    ? question->add_text(sample, reply.array)
			    : question->add_tree(sample, reply.parameters);
		client_reply_done(&reply);
		if (r < 0) {
			fail(failure, r);
			return -1;
		}
	}
	return 0;
}

static int ask_all(const char *path, struct client **client,
		   struct top_sample *sample, struct top_failure *failure)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const struct client_call call = {
			.method = questions[i].method,
			.parameters = json_object(),
			.deadline_us = monotonic_us() + REPLY_US,
		};
		int r = *client ? client_call_again(*client, &call)
				: client_call(path, &call, client);

		if (r < 0) {
			fail(failure, r);
			return -1;
		}
		if (read_replies(*client, &questions[i], sample, failure) < 0)
			return -1;
	}
	return 0;
}

int top_fetch(const char *path, struct top_sample **ret_sample,
	      struct top_failure *ret_failure)
{
	struct top_sample *sample = top_sample_new(monotonic_us());
	struct client *client = NULL;
	int r = -1;

	if (sample)
		r = ask_all(path, &client, sample, ret_failure);
	else
		fail(ret_failure, -ENOMEM);
	client_free(client);
	*ret_sample = r == 0 ? sample : top_sample_free(sample);
	return r;
}
