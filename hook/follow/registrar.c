// SPDX-License-Identifier: Apache-2.0
/* registrar.c - tells berthd of containers, one after the other
 *
 * One connection serves all calls, and is kept: its end says that berthd is
 * another one, which may know nothing. Calls block, because nothing else is
 * worth doing while berthd does not answer: events wait in their socket.
 */
#include "hook/follow/registrar.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include "client/client.h"
#include "common/holdoff.h"
#include "common/log.h"
#include "common/log_teller.h"
#include "common/loop.h"
#include "common/util.h"
#include "hook/follow/followed.h"

/* Of one call: berthd plans one namespace, unless it starts. */
#define CALL_US (5 * USEC_PER_SEC)

#define REASON_BYTES 256

/* The parameter by which berthd counts who told. */
#define SOURCE "source"

/* Lines about the same container. */
#define LOG_INTERVAL_US (60 * USEC_PER_SEC)
#define LOG_BURST 3

/**
 * struct registrar - the connection to berthd
 * @client:	NULL: there is none
 * @source:	waits for its end
 * @timer:	set: berthd is away, until then
 * @reason:	why it is away, as was said last; "" when it is there
 * @no_source:	this berthd does not take SOURCE
 */
struct registrar {
	struct loop *loop;
	const char *path;
	registrar_lost lost;
	void *user_data;
	struct client *client;
	struct loop_source *source;
	struct loop_timer *timer;
	struct log_teller *teller;
	struct holdoff holdoff;
	char reason[REASON_BYTES];
	bool no_source;
};

/* Nothing to be done: the loop calls the step after each batch. */
static void timer_handler(void *user_data)
{
	(void)user_data;
}

int registrar_new(struct loop *loop, const char *path, registrar_lost lost,
		  void *user_data, struct registrar **ret_registrar)
{
	struct registrar *registrar = calloc(1, sizeof(*registrar));

	if (!registrar)
		return -ENOMEM;
	registrar->loop = loop;
	registrar->path = path;
	registrar->lost = lost;
	registrar->user_data = user_data;
	if (loop_timer_new(loop, timer_handler, registrar, &registrar->timer) <
		    0 ||
	    log_teller_new(loop, LOG_INTERVAL_US, LOG_BURST,
			   &registrar->teller) < 0) {
		registrar_free(registrar);
		return -ENOMEM;
	}
	*ret_registrar = registrar;
	return 0;
}

static void registrar_disconnect(struct registrar *registrar)
{
	registrar->source = loop_source_free(registrar->source);
	registrar->client = client_free(registrar->client);
	registrar->no_source = false; /* the next berthd may be a newer one */
}

struct registrar *registrar_free(struct registrar *registrar)
{
	if (!registrar)
		return NULL;
	registrar_disconnect(registrar);
	log_teller_free(registrar->teller);
	loop_timer_free(registrar->timer);
	free(registrar);
	return NULL;
}

bool registrar_ready(const struct registrar *registrar)
{
	return !loop_timer_is_set(registrar->timer);
}

/* Forgets the connection, and says why, unless that was said. */
static void registrar_away(struct registrar *registrar, const char *reason)
{
	uint64_t now_us = monotonic_us();

	registrar_disconnect(registrar);
	/* Also at once: the loop has a turn before the next attempt. */
	loop_timer_set(registrar->timer,
		       holdoff_next(&registrar->holdoff, now_us));
	if (strcmp(registrar->reason, reason) != 0) {
		(void)snprintf(registrar->reason, sizeof(registrar->reason),
			       "%s", reason);
		log_warning("berthd is told nothing by '%s': %s; trying again",
			    registrar->path, reason);
	}
	registrar->lost(registrar->user_data);
}

/* Between two calls berthd says nothing: the connection is over. */
static void connection_handler(uint32_t events, void *user_data)
{
	(void)events; /* whatever it is */
	registrar_away(user_data, "the connection has ended");
}

static int registrar_watch(struct registrar *registrar)
{
	if (registrar->source)
		return 0;
	return loop_add(registrar->loop, client_fd(registrar->client),
			EPOLLIN | EPOLLRDHUP, connection_handler, registrar,
			&registrar->source);
}

static int registrar_call(struct registrar *registrar, const char *method,
			  json_t *parameters, struct client_reply *ret_reply)
{
	const struct client_call call = {
		.method = method,
		.parameters = parameters,
		.deadline_us = monotonic_us() + CALL_US,
	};
	int r = registrar->client ? client_call_again(registrar->client, &call)
				  : client_call(registrar->path, &call,
						&registrar->client);

	if (r == 0)
		r = client_next(registrar->client, NULL, ret_reply);
	if (r < 0)
		return r;
	r = registrar_watch(registrar);
	if (r < 0)
		client_reply_done(ret_reply);
	return r;
}

/* Is it about this container, or about all? */
static bool error_is_of_one(const char *error)
{
	static const char *const names[] = {
		"io.berth.NoSuchNamespace",
		"io.berth.LimitReached",
		"org.varlink.service.InvalidParameter",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(error, names[i]) == 0)
			return true;
	}
	return false;
}

/* An error and what it says of the reason. */
static void reason_fmt(const struct client_reply *reply,
		       char reason[REASON_BYTES])
{
	static const char *const keys[] = { "reason", "message", "parameter" };
	const char *said = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !said; i++)
		said = json_string_value(
			json_object_get(reply->parameters, keys[i]));
	(void)snprintf(reason, REASON_BYTES, "%s%s%s", reply->error,
		       said ? ": " : "", said ? said : "");
}

/* One call. Return: what became of it, and the reason if it is not told. */
static enum registrar_outcome tell_once(struct registrar *registrar,
					const char *method, json_t *parameters,
					char reason[REASON_BYTES])
{
	enum registrar_outcome outcome = REGISTRAR_TOLD;
	struct client_reply reply = { .error = NULL };
	int r = registrar_call(registrar, method, parameters, &reply);

	if (r < 0) {
		(void)snprintf(reason, REASON_BYTES, "%s", strerror(-r));
		return REGISTRAR_AWAY;
	}
	if (client_refuses(&reply, SOURCE)) {
		registrar->no_source = true;
		outcome = REGISTRAR_REFUSED;
	} else if (reply.error) {
		reason_fmt(&reply, reason);
		outcome = error_is_of_one(reply.error) ? REGISTRAR_REFUSED
						       : REGISTRAR_AWAY;
	}
	client_reply_done(&reply);
	return outcome;
}

/* What is missing without memory, the call says: its parameters are NULL. */
static enum registrar_outcome try_register(struct registrar *registrar,
					   const json_t *told, bool by_path,
					   char reason[REASON_BYTES])
{
	json_t *parameters = json_copy((json_t *)told);

	if (!by_path)
		(void)json_object_del(parameters, "path");
	if (!registrar->no_source)
		(void)json_object_set_new(parameters, SOURCE,
					  json_string("runtime"));
	return tell_once(registrar, "io.berth.Register", parameters, reason);
}

/* berthd may not see the engine's path, that of a user's own runtime for
 * instance; the process leads there, too. And an earlier berthd does not know
 * that one may say who tells. */
static enum registrar_outcome tell_register(struct registrar *registrar,
					    const json_t *told,
					    char reason[REASON_BYTES])
{
	bool by_path = json_object_get(told, "path") != NULL;
	bool with_source = !registrar->no_source;
	enum registrar_outcome outcome =
		try_register(registrar, told, by_path, reason);

	if (with_source && registrar->no_source)
		outcome = try_register(registrar, told, by_path, reason);
	if (outcome != REGISTRAR_REFUSED || !by_path)
		return outcome;
	return try_register(registrar, told, /* by_path= */ false, reason);
}

static void registrar_there(struct registrar *registrar)
{
	if (registrar->reason[0])
		log_info("berthd is told again by '%s'", registrar->path);
	registrar->reason[0] = '\0';
}

enum registrar_outcome registrar_tell(struct registrar *registrar,
				      const char *runtime,
				      const struct followed_telling *telling)
{
	char reason[REASON_BYTES] = "";
	enum registrar_outcome outcome =
		telling->parameters
			? tell_register(registrar, telling->parameters, reason)
			: tell_once(registrar, "io.berth.Unregister",
				    json_pack("{s:s}", "id", telling->id),
				    reason);

	if (outcome == REGISTRAR_AWAY) {
		registrar_away(registrar, reason);
		return outcome;
	}
	registrar_there(registrar);
	if (outcome == REGISTRAR_REFUSED &&
	    log_teller_ok(registrar->teller, "%s", telling->id))
		log_warning("%s: berthd does not take container '%s': %s; "
			    "ignoring it until it is looked at again",
			    runtime, telling->id, reason);
	else if (outcome == REGISTRAR_TOLD)
		log_debug("%s: container '%s' is %s", runtime, telling->id,
			  telling->parameters ? "registered" : "unregistered");
	return outcome;
}
