// SPDX-License-Identifier: Apache-2.0
/* tell.c - tells berthd of containers; whatever berthd does, it comes back */
#include "hook/tell.h"

#include <stdbool.h>
#include <string.h>

#include "client/client.h"
#include "common/util.h"
#include "hook/cni.h"
#include "hook/complain.h"

/* berthd is told to wait for less than what is left, so that its answer, which
 * says what is not open, arrives in time: a tenth is for the way. */
#define WAIT_PARTS 9
#define WHOLE_PARTS 10

static const char *error_text(int error)
{
	switch (error) {
	case -EPROTO:
		return "what answers there is not berthd";
	case -ECONNRESET:
	case -EPIPE:
		return "it ended the connection";
	default:
		return strerror(-error);
	}
}

static void complain_error(const struct tell *tell, int error)
{
	if (error == -ETIMEDOUT)
		complain("berthd at %s does not answer within %u ms; going on "
			 "without it",
			 tell->runtime_dir, tell->timeout_ms);
	else
		complain("cannot talk to berthd at %s: %s; going on without it",
			 tell->runtime_dir, error_text(error));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Return: NULL after a complaint. */
static struct client *tell_call(const struct tell *tell,
				struct client_call *call)
{
	struct client *client = NULL;
	char *path = NULL;
	int r = -ENOMEM;

	call->deadline_us = tell->deadline_us;
	if (asprintf(&path, "%s/control.sock", tell->runtime_dir) < 0) {
		path = NULL; /* asprintf(3) leaves it undefined */
		json_decref(call->parameters);
	} else {
		r = client_call(path, call, &client);
	}
	free(path);
	if (r < 0)
		complain_error(tell, r);
	return client;
}

/* Return: 0, also with an error that berthd replies, and the caller calls
 * client_reply_done(); -errno after a complaint. */
static int tell_receive(const struct tell *tell, struct client *client,
			struct client_reply *ret_reply)
{
	int r = client_next(client, NULL, ret_reply);

	if (r < 0)
		complain_error(tell, r);
	return r;
}

/* Return: 0; -EREMOTEIO after a complaint about an error that berthd replied,
 * and the reply is done. */
static int judge(struct client_reply *reply)
{
	if (!reply->error)
		return 0;
	complain("berthd refuses: %s %s%s%s", reply->error,
		 text_of(reply->parameters, "reason"),
		 text_of(reply->parameters, "message"),
		 text_of(reply->parameters, "parameter"));
	client_reply_done(reply);
	return -EREMOTEIO;
}

/* Return: 0, and the caller calls client_reply_done(); -errno after a
 * complaint, also about an error that berthd replies. */
static int tell_next(const struct tell *tell, struct client *client,
		     struct client_reply *ret_reply)
{
	int r = tell_receive(tell, client, ret_reply);

	return r < 0 ? r : judge(ret_reply);
}

/* As tell_receive(), of a call that has one reply. */
static int tell_once(const struct tell *tell, struct client_call *call,
		     struct client_reply *ret_reply)
{
	struct client *client = tell_call(tell, call);
	int r = client ? tell_receive(tell, client, ret_reply) : -ENOTCONN;

	client_free(client);
	return r;
}

/* The first listener that is not open stands for all. */
static void complain_unready(const struct tell *tell, const json_t *reply,
			     const struct facts *facts)
{
	json_t *listeners = json_object_get(reply, "listeners"), *one;
	size_t i;

	json_array_foreach (listeners, i, one) {
		if (strcmp(text_of(one, "state"), "open") == 0)
			continue;
		complain("container '%s' starts before its listener of rule "
			 "'%s', %s %s:%lld, is open: %s",
			 facts->name, text_of(one, "rule"),
			 text_of(one, "protocol"), text_of(one, "address"),
			 (long long)json_integer_value(
				 json_object_get(one, "port")),
			 text_of(one, "reason"));
		return;
	}
	complain("container '%s' starts before its listeners are open: berthd "
		 "was not ready within %u ms",
		 facts->name, tell->timeout_ms);
}

/* Return: NULL: no memory. */
static json_t *register_parameters(const struct tell *tell,
				   const struct place *place,
				   const struct facts *facts, bool wait,
				   bool with_source)
{
	json_t *parameters = json_pack("{s:s, s:s, s:s, s:s, s:O}", "name",
				       facts->name, "pod_namespace",
				       facts->pod_namespace, "id", facts->id,
				       "runtime", facts->runtime, "labels",
				       facts->labels);
	uint64_t now = monotonic_us();
	uint64_t left_us = now < tell->deadline_us ? tell->deadline_us - now
						   : 0;
	int r = parameters ? 0 : -1;

	if (r == 0 && place->netns_fd >= 0)
		r = json_object_set_new(parameters, "fd", json_integer(0));
	if (r == 0 && with_source)
		r = json_object_set_new(parameters, "source",
					json_string("hook"));
	if (r == 0 && place->pid > 0)
		r = json_object_set_new(parameters, "pid",
					json_integer(place->pid));
	if (r == 0 && wait)
		r = json_object_set_new(
			parameters, "wait_ms",
			json_integer((json_int_t)(left_us * WAIT_PARTS /
						  WHOLE_PARTS /
						  USEC_PER_MSEC)));
	if (r == 0)
		return parameters;
	json_decref(parameters);
	return NULL;
}

/* As tell_once(). */
static int tell_register(const struct tell *tell, const struct place *place,
			 const struct facts *facts, bool wait,
			 struct client_reply *ret_reply)
{
	struct client_call call = {
		.method = "io.berth.Register",
		.fd = place->netns_fd >= 0 ? &place->netns_fd : NULL,
	};
	int r;

	call.parameters = register_parameters(tell, place, facts, wait,
					      /* with_source= */ true);
	r = tell_once(tell, &call, ret_reply);
	if (r < 0 || !client_refuses(ret_reply, "source"))
		return r;
	/* An earlier berthd does not know that one may say who tells. */
	client_reply_done(ret_reply);
	call.parameters = register_parameters(tell, place, facts, wait,
					      /* with_source= */ false);
	return tell_once(tell, &call, ret_reply);
}

void tell_begin(const struct tell *tell, const struct place *place,
		const struct facts *facts, bool wait)
{
	struct client_reply reply;

	if (tell_register(tell, place, facts, wait, &reply) < 0 ||
	    judge(&reply) < 0)
		return;
	if (wait && !json_is_true(json_object_get(reply.parameters, "ready")))
		complain_unready(tell, reply.parameters, facts);
	else if (facts->dropped)
		complain("container '%s' has more labels, or longer ones, than "
			 "berthd takes; some are left out",
			 facts->name);
	client_reply_done(&reply);
}

void tell_end(const struct tell *tell, const char *id)
{
	struct client_call call = {
		.method = "io.berth.Unregister",
		.parameters = json_pack("{s:s}", "id", id),
	};
	struct client_reply reply;

	if (tell_once(tell, &call, &reply) == 0 && judge(&reply) == 0)
		client_reply_done(&reply);
}

/* Was it this plugin, in this network, that told of the container? */
static bool is_of_network(const json_t *container, const json_t *conf)
{
	const json_t *label = json_object_get(
		json_object_get(container, "labels"), cni_network_label());
	const json_t *name = json_object_get(conf, "name");

	return strcmp(text_of(container, "runtime"), "cni") == 0 && name &&
	       json_equal(label, name);
}

static void gc_part(const struct tell *tell, const json_t *conf,
		    const json_t *namespaces)
{
	json_t *namespace, *container;
	size_t i, k;

	json_array_foreach (namespaces, i, namespace) {
		const json_t *containers =
			json_object_get(namespace, "containers");

		json_array_foreach (containers, k, container) {
			const char *id = text_of(container, "id");

			if (*id && is_of_network(container, conf) &&
			    !cni_is_valid(conf, id))
				tell_end(tell, id);
		}
	}
}

void tell_gc(const struct tell *tell, const json_t *conf)
{
	struct client_call call = {
		.method = "io.berth.ListNamespaces",
		.parameters = json_object(),
	};
	struct client *client = tell_call(tell, &call);
	struct client_reply reply;
	bool continues = client != NULL;

	while (continues && tell_next(tell, client, &reply) == 0) {
		continues = reply.continues;
		gc_part(tell, conf,
			json_object_get(reply.parameters, "namespaces"));
		client_reply_done(&reply);
	}
	client_free(client);
}
