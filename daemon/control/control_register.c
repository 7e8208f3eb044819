// SPDX-License-Identifier: Apache-2.0
/* control_register.c - the methods Register and Unregister
 *
 * The watcher keeps the registrations; here stands which of them end with
 * which connection.
 */
#include "daemon/control/control_register.h"

#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/util.h"
#include "daemon/control/caller.h"
#include "daemon/control/control_wait.h"
#include "daemon/control/register_parse.h"
#include "daemon/control/varlink.h"
#include "daemon/json_build.h"
#include "watcher/watcher.h"

/** struct transient - a registration that ends with a connection */
struct transient {
	uint64_t registration;
	uint64_t connection;
	struct transient *prev, *next;
};

struct control_register {
	struct watcher *watcher;
	struct control_wait *wait;
	struct transient *transients;
};

struct control_register *control_register_new(struct watcher *watcher,
					      struct control_wait *wait)
{
	struct control_register *reg = malloc(sizeof(*reg));

	if (reg)
		*reg = (struct control_register){
			.watcher = watcher,
			.wait = wait,
		};
	return reg;
}

static void transient_free(struct control_register *reg,
			   struct transient *transient)
{
	DL_DELETE(reg->transients, transient);
	free(transient);
}

struct control_register *control_register_free(struct control_register *reg)
{
	struct transient *transient, *next;

	if (!reg)
		return NULL;
	DL_FOREACH_SAFE (reg->transients, transient, next)
		transient_free(reg, transient);
	free(reg);
	return NULL;
}

void control_register_ended(struct control_register *reg, uint64_t id)
{
	struct transient *transient, *next;

	DL_FOREACH_SAFE (reg->transients, transient, next) {
		if (transient->registration == id)
			transient_free(reg, transient);
	}
}

void control_register_disconnected(struct control_register *reg,
				   uint64_t connection)
{
	struct transient *transient, *next;

	DL_FOREACH_SAFE (reg->transients, transient, next) {
		if (transient->connection != connection)
			continue;
		(void)watcher_unregister(
			reg->watcher,
			transient->registration); /* gone is as good */
		transient_free(reg, transient);
	}
}

/* What one key replaced by another namespace's left behind: the watcher does
 * not tell of these. */
static void forget_replaced(struct control_register *reg)
{
	struct transient *transient, *next;

	DL_FOREACH_SAFE (reg->transients, transient, next) {
		if (!watcher_find_registration(reg->watcher,
					       transient->registration))
			transient_free(reg, transient);
	}
}

/* The registration @id was told by this call: it ends with its connection, or
 * with no connection any more. Return: 0; -ENOSPC; -ENOMEM. */
static int bind_life(struct control_register *reg, struct varlink_call *call,
		     uint64_t id, bool ends)
{
	struct transient *transient;
	int r;

	control_register_ended(reg, id);
	if (!ends)
		return 0;
	r = varlink_call_keep_connection(call);
	if (r < 0)
		return r;
	forget_replaced(reg);
	transient = malloc(sizeof(*transient));
	if (!transient)
		return -ENOMEM;
	*transient = (struct transient){
		.registration = id,
		.connection = varlink_call_connection(call),
	};
	DL_APPEND(reg->transients, transient);
	return 0;
}

static void reply_absent(struct varlink_call *call,
			 const struct register_told *told, const char *reason)
{
	_cleanup_free_ char *pid = NULL;
	const char *what = told->path;

	if (!what && told->fd)
		what = "the attached descriptor";
	if (!what && asprintf(&pid, "/proc/%d/ns/net", told->container.pid) < 0)
		pid = NULL; /* asprintf(3) leaves it undefined */
	varlink_error(call, "NoSuchNamespace",
		      json_pack("{s:o, s:s}", "namespace",
				json_text(what	? what
					  : pid ? pid
						: "?"),
				"message", reason));
}

static void reply_message(struct varlink_call *call, const char *error,
			  const char *message)
{
	varlink_error(call, error, json_pack("{s:s}", "message", message));
}

/* What the watcher did not take. */
static void reply_failed(struct varlink_call *call,
			 const struct register_told *told, int error,
			 const char *reason)
{
	switch (error) {
	case -ENOMEM:
		varlink_reply(call, NULL);
		break;
	case -EINVAL:
		varlink_invalid_parameter(call,
					  told->path ? "path"
					  : told->fd ? "fd"
						     : "pid",
					  reason);
		break;
	case -ENOSPC:
		reply_message(call, "LimitReached", reason);
		break;
	case -EPERM:
		varlink_error(call, "NotPermitted",
			      json_pack("{s:s}", "reason", reason));
		break;
	case -EOPNOTSUPP:
		reply_message(call, "NotSupported", reason);
		break;
	default:
		reply_absent(call, told, reason);
		break;
	}
}

static void reply_kept(struct varlink_call *call, int error)
{
	if (error == -ENOSPC)
		reply_message(call, "LimitReached",
			      "too many connections have registrations that "
			      "end with them");
	else
		varlink_reply(call, NULL);
}

/* Return: was it registered? */
static bool register_told(struct varlink_call *call,
			  struct control_register *reg,
			  const struct caller *caller,
			  const struct register_told *told, int fd)
{
	struct registration_told registration = {
		.path = told->path,
		.fd = told->fd ? fd : -1,
		.uid = caller->uid,
		.transient = told->end_with_connection,
		.source = told->source,
		.container = told->container,
	};
	const char *reason = "";
	uint64_t id;
	int r;

	registration.container.uid = caller->rank == CALLER_USER ? caller->uid
								 : 0;
	r = watcher_register(reg->watcher, &registration, &id, &reason);
	if (r < 0) {
		reply_failed(call, told, r, reason);
		return false;
	}
	r = bind_life(reg, call, id, told->end_with_connection);
	if (r < 0) {
		(void)watcher_unregister(reg->watcher, id);
		reply_kept(call, r);
		return true;
	}
	control_wait_registered(call, reg->wait, caller,
				watcher_find_registration(reg->watcher, id),
				told->wait_us);
	return true;
}

void control_register_call(struct varlink_call *call,
			   struct control_register *reg,
			   const struct caller *caller)
{
	_cleanup_foreign_ int fd = varlink_call_take_fd(call);
	struct parameter_problem problem;
	struct register_told told;
	int r = register_parse(varlink_call_parameters(call), fd >= 0, &told,
			       &problem);

	if (r == -EINVAL) {
		varlink_invalid_parameter(call, problem.parameter,
					  problem.expected);
		return;
	}
	if (r < 0) {
		varlink_reply(call, NULL);
		return;
	}
	/* It is of nsfs, or a pidfd: there is no need to be careful. */
	if (register_told(call, reg, caller, &told, fd) && told.fd)
		(void)close(TAKE_FD(fd)); /* nothing of ours is in it */
	register_told_done(&told);
}

static size_t end_one(struct control_register *reg,
		      const struct registration *registration)
{
	uint64_t id = registration->id;

	control_register_ended(reg, id);
	return watcher_unregister(reg->watcher, id) ? 1 : 0;
}

static bool has_name(const struct registration *registration,
		     const struct unregister_told *told)
{
	const struct container *container = registration->container;

	if (*told->id)
		return strcmp(container->id, told->id) == 0;
	return strcmp(container->name, told->name) == 0 &&
	       strcmp(container->pod_namespace, told->pod_namespace) == 0;
}

static bool may_end(const struct caller *caller,
		    const struct registration *registration)
{
	return caller->rank == CALLER_ROOT || registration->uid == caller->uid;
}

/* All of that name, whatever their keys are: of the caller, or of everybody for
 * root. */
static size_t end_all(struct control_register *reg,
		      const struct unregister_told *told,
		      const struct caller *caller)
{
	const struct registration *registration, *next;
	size_t n = 0;

	registration = watcher_next_registration(reg->watcher, NULL);
	for (; registration; registration = next) {
		next = watcher_next_registration(reg->watcher, registration);
		if (may_end(caller, registration) &&
		    has_name(registration, told))
			n += end_one(reg, registration);
	}
	return n;
}

/* Return: how many ended. */
static size_t unregister(struct control_register *reg,
			 const struct unregister_told *told,
			 const struct caller *caller)
{
	const struct container key = { .name = told->name,
				       .pod_namespace = told->pod_namespace,
				       .id = told->id };
	const struct registration *registration;

	if (told->registration) {
		registration = watcher_find_registration(reg->watcher,
							 told->registration);
		if (!registration || !may_end(caller, registration))
			return 0;
		return end_one(reg, registration);
	}
	registration =
		watcher_find_registration_key(reg->watcher, caller->uid, &key);
	return registration ? end_one(reg, registration)
			    : end_all(reg, told, caller);
}

void control_unregister_call(struct varlink_call *call,
			     struct control_register *reg,
			     const struct caller *caller)
{
	struct parameter_problem problem;
	struct unregister_told told;

	if (unregister_parse(varlink_call_parameters(call), &told, &problem) <
	    0) {
		varlink_invalid_parameter(call, problem.parameter,
					  problem.expected);
		return;
	}
	varlink_reply(call,
		      json_pack("{s:o}", "ended",
				json_count(unregister(reg, &told, caller))));
}
