// SPDX-License-Identifier: Apache-2.0
/* question.c - what a viewer wants to know, and berthd's answer to it
 *
 * berthd's long lists come in parts. The elements of the one list that may be
 * very long are put together as text, as they come. All else becomes a tree,
 * of a few kilobytes. Metrics are written as they come.
 */
#include "web/question.h"

#include <jansson.h>
#include <string.h>

#include "client/client.h"
#include "client/prometheus.h"
#include "common/text.h"
#include "common/util.h"
#include "web/document.h"

#define REASON_BYTES 512

#define NOT_PERMITTED "io.berth.NotPermitted"

enum {
	STATUS_OK = 200,
	STATUS_BAD_REQUEST = 400,
	STATUS_NOT_FOUND = 404,
	STATUS_CONFLICT = 409,
	STATUS_BAD_GATEWAY = 502,
	STATUS_UNAVAILABLE = 503,
};

int question_copy(const struct question *question, struct question *ret_copy)
{
	struct question copy = { .route = question->route };

	for (size_t i = 0; i < ROUTE_PARAMETERS; i++) {
		if (!question->values[i])
			continue;
		copy.values[i] = strdup(question->values[i]);
		if (!copy.values[i]) {
			question_done(&copy);
			return -ENOMEM;
		}
	}
	*ret_copy = copy;
	return 0;
}

void question_done(struct question *question)
{
	for (size_t i = 0; i < ROUTE_PARAMETERS; i++)
		free(question->values[i]);
	*question = (struct question){ .route = NULL };
}

bool question_equal(const struct question *a, const struct question *b)
{
	if (a->route != b->route)
		return false;
	for (size_t i = 0; i < ROUTE_PARAMETERS; i++) {
		if (!text_equal(a->values[i], b->values[i]))
			return false;
	}
	return true;
}

/* Return: the call's parameters, or NULL: out of memory. */
static json_t *parameters_of(const struct question *question)
{
	json_t *parameters = json_object();

	for (size_t i = 0; i < ROUTE_PARAMETERS; i++) {
		if (question->values[i] &&
		    json_object_set_new(
			    parameters,
			    question->route->parameters[i].berthd_name,
			    json_string(question->values[i])) < 0) {
			json_decref(parameters);
			return NULL;
		}
	}
	return parameters;
}

/**
 * struct join - the parts of a reply
 * @body:	the document, as far as the elements of the long list were seen
 * @any:	there was one
 * @members:	all else
 * @prometheus:	of metrics, which are written to @out instead: the body's text
 */
struct join {
	struct body body;
	bool any;
	json_t *members;
	struct prometheus *prometheus;
	FILE *out;
};

static void join_done(struct join *join)
{
	if (join->out)
		(void)fclose(join->out); /* nobody wants it any more */
	prometheus_free(join->prometheus);
	body_done(&join->body);
	json_decref(join->members);
}

/* Errors of adding stay in the body: document_new() looks. */
static void join_begin(struct join *join, const char *list_name)
{
	(void)body_add_text(&join->body, "{");
	if (list_name) {
		(void)body_add_text(&join->body, "\"");
		(void)body_add_text(&join->body, list_name);
		(void)body_add_text(&join->body, "\":[");
	}
}

static void join_end(struct join *join, const char *list_name)
{
	char *members = json_dumps(join->members, JSON_COMPACT);

	if (list_name)
		(void)body_add_text(&join->body, "]");
	if (list_name && json_object_size(join->members) > 0)
		(void)body_add_text(&join->body, ",");
	if (members)
		(void)body_add_text(&join->body, members + strlen("{"));
	else
		join->body.error = -ENOMEM;
	(void)body_add_text(&join->body, "\n");
	free(members);
}

static int metrics_begin(struct join *join)
{
	join->prometheus = prometheus_new();
	join->out = open_memstream(&join->body.text, &join->body.len);
	return join->prometheus && join->out ? 0 : -ENOMEM;
}

static int join_metrics(struct join *join, const struct question *question,
			const struct client_reply *reply)
{
	int r = prometheus_add(join->prometheus, reply->parameters, join->out);

	(void)question;
	if (r == 0 && (ferror(join->out) || fflush(join->out) != 0))
		r = -ENOMEM;
	return r == 0 && join->body.len > BODY_MAX ? -EFBIG : r;
}

static void metrics_end(struct join *join)
{
	FILE *out = TAKE_PTR(join->out);

	if (fclose(out) != 0)
		join->body.error = -ENOMEM;
}

/* Takes a part's members: arrays continue, others are what they were. */
static int join_members(struct join *join, json_t *part)
{
	const char *name;
	json_t *value;

	if (!join->members) {
		join->members = json_incref(part);
		return 0;
	}
	json_object_foreach (part, name, value) {
		json_t *known = json_object_get(join->members, name);
		int r = json_is_array(known) && json_is_array(value)
				? json_array_extend(known, value)
				: json_object_set(join->members, name, value);

		if (r < 0)
			return -ENOMEM;
	}
	return 0;
}

static void join_comma(struct join *join)
{
	if (join->any)
		(void)body_add_text(&join->body, ",");
	join->any = true;
}

/* Adds an array's elements, without its brackets. */
static void join_list(struct join *join, const struct json_span *array)
{
	if (array->len <= strlen("[]"))
		return;
	join_comma(join);
	(void)body_add(&join->body, array->text + 1, array->len - strlen("[]"));
}

static int join_reply(struct join *join, const struct question *question,
		      const struct client_reply *reply)
{
	const char *array = question->route->array;

	if (array) {
		join_list(join, &reply->array);
		(void)json_object_del(reply->parameters, array); /* or none */
	}
	return join_members(join, reply->parameters);
}

/* Each container, and in which namespace it is. */
static int join_containers_of(struct join *join, const json_t *netns)
{
	const json_t *names = json_object_get(netns, "names");
	json_t *name = json_object_get(json_array_get(names, 0), "name");
	json_t *id = json_object_get(netns, "id");
	json_t *container;
	size_t i;

	json_array_foreach (json_object_get(netns, "containers"), i,
			    container) {
		if (json_object_set(container, "namespace", name) < 0 ||
		    json_object_set(container, "namespace_id", id) < 0)
			return -ENOMEM;
		join_comma(join);
		(void)body_add_json(&join->body, container);
	}
	return 0;
}

static int join_containers(struct join *join, const struct question *question,
			   const struct client_reply *reply)
{
	static const char *const others[] = { "namespaces", "pending",
					      "pending_total", "lingering",
					      "lingering_total" };
	json_t *netns;
	size_t i;

	(void)question;
	json_array_foreach (json_object_get(reply->parameters, "namespaces"), i,
			    netns) {
		int r = join_containers_of(join, netns);

		if (r < 0)
			return r;
	}
	for (i = 0; i < ARRAY_SIZE(others); i++)
		(void)json_object_del(reply->parameters, others[i]); /* or none
								      */
	return join_members(join, reply->parameters);
}

/* berthd does not answer, for whatever reason. */
static struct document *away(const struct question *question, int error)
{
	const char *reason = strerror(-error);
	char message[REASON_BYTES];
	struct document *document;

	if (error == -ENOENT)
		reason = "it is not running";
	else if (error == -EPROTO)
		reason = "what it says is no reply of io.berth";
	(void)snprintf(message, sizeof(message),
		       "berthd does not answer: %s; trying again with the "
		       "next request",
		       reason);
	document = document_error(STATUS_UNAVAILABLE, question->route->type,
				  "unavailable", message);
	if (document)
		document->away = -error;
	return document;
}

static unsigned int status_of(const char *error)
{
	static const struct {
		const char *error;
		unsigned int status;
	} known[] = {
		{ "io.berth.NoSuchNamespace", STATUS_NOT_FOUND },
		{ "io.berth.NoSuchTarget", STATUS_NOT_FOUND },
		{ "io.berth.AmbiguousNamespace", STATUS_CONFLICT },
		{ "org.varlink.service.InvalidParameter", STATUS_BAD_REQUEST },
		{ NOT_PERMITTED, STATUS_UNAVAILABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(error, known[i].error) == 0)
			return known[i].status;
	}
	return STATUS_BAD_GATEWAY;
}

/* berthd answers with an error. */
static struct document *refused(const struct question *question,
				const struct client_reply *reply)
{
	static const char *const keys[] = { "message", "reason", "parameter" };
	const char *said = NULL;
	char message[REASON_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !said; i++)
		said = json_string_value(
			json_object_get(reply->parameters, keys[i]));
	if (strcmp(reply->error, NOT_PERMITTED) == 0)
		(void)snprintf(message, sizeof(message),
			       "berthd does not let user %u read: %s",
			       (unsigned int)geteuid(), said ? said : "");
	else
		(void)snprintf(message, sizeof(message), "%s",
			       said ? said : reply->error);
	return document_error(status_of(reply->error), question->route->type,
			      reply->error, message);
}

static int (*const adders[])(struct join *, const struct question *,
			     const struct client_reply *) = {
	[ROUTE_REPLY] = join_reply,
	[ROUTE_CONTAINERS] = join_containers,
	[ROUTE_METRICS] = join_metrics,
};

/* Reads all replies. Return: 0; 1: an error of berthd's, with *@ret_document;
 * or -errno. */
static int read_replies(const struct question *question, struct client *client,
			struct join *join, struct document **ret_document)
{
	int (*add)(struct join *, const struct question *,
		   const struct client_reply *) = adders[question->route->kind];
	bool more = true;

	while (more) {
		struct client_reply reply = { .message = NULL };
		int r = client_next(client, question->route->array, &reply);

		if (r < 0)
			return r;
		if (reply.error) {
			*ret_document = refused(question, &reply);
			r = 1;
		} else {
			r = add(join, question, &reply);
		}
		more = reply.continues;
		client_reply_done(&reply);
		if (r != 0)
			return r;
	}
	return 0;
}

/* The member that is put together from all parts, or NULL. */
static const char *list_of(const struct route *route)
{
	return route->kind == ROUTE_CONTAINERS ? "containers" : route->array;
}

static int document_begin(struct join *join, const struct route *route)
{
	if (route->kind == ROUTE_METRICS)
		return metrics_begin(join);
	join_begin(join, list_of(route));
	return 0;
}

/* Takes the body. */
static struct document *document_end(struct join *join,
				     const struct route *route)
{
	if (route->kind == ROUTE_METRICS)
		metrics_end(join);
	else
		join_end(join, list_of(route));
	return document_new(STATUS_OK, route->type, &join->body);
}

struct document *question_ask(const struct question *question,
			      const char *socket, uint64_t deadline_us)
{
	const struct client_call call = {
		.method = question->route->method,
		.parameters = parameters_of(question),
		.deadline_us = deadline_us,
	};
	struct document *document = NULL;
	struct client *client = NULL;
	struct join join = { .members = NULL };
	int r = client_call(socket, &call, &client);

	if (r == 0)
		r = document_begin(&join, question->route);
	if (r == 0)
		r = read_replies(question, client, &join, &document);
	if (r == 0)
		document = document_end(&join, question->route);
	else if (r < 0 && r != -ENOMEM)
		document = away(question, r);
	client_free(client);
	join_done(&join);
	return document;
}
