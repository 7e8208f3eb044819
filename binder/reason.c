// SPDX-License-Identifier: Apache-2.0
/* reason.c - why a listener waits, in words that say what would help */
#include "binder/reason.h"

#include <netinet/in.h>
#include <string.h>

#include "common/util.h"

#define REASON_MAX 224 /* the longest text below, with a name in it */

static const char *reason_no_protocol(enum protocol protocol)
{
	if (protocol_is_sctp(protocol))
		return "this kernel has no SCTP (modprobe sctp)";
	if (protocol == PROTOCOL_MPTCP)
		return "this kernel has no MPTCP (CONFIG_MPTCP)";
	return NULL;
}

static const char *reason_of_socket(int error, enum protocol protocol)
{
	switch (error) {
	case EPROTONOSUPPORT:
	case ESOCKTNOSUPPORT:
		return reason_no_protocol(protocol);
	case ENOPROTOOPT:
		if (protocol == PROTOCOL_MPTCP)
			return "MPTCP is off in the namespace (sysctl "
			       "net.mptcp.enabled=1)";
		return NULL;
	case EAFNOSUPPORT:
		return "this kernel has no IPv6";
	default:
		return NULL;
	}
}

static const char *reason_of_bind(int error, const struct endpoint *endpoint)
{
	switch (error) {
	case EADDRINUSE:
		return "the port is taken by a program in the namespace; "
		       "berth takes it when that one stops";
	case EADDRNOTAVAIL:
		return "the address is not there (yet), or the kernel still "
		       "verifies that no other host has it";
	case EACCES:
		return "not allowed to bind: CAP_NET_BIND_SERVICE is missing";
	case ENODEV:
		return "the interface of the address's scope is not there";
	case ENOSYS:
		if (protocol_is_sctp(endpoint->protocol))
			return "SCTP's cookie algorithm is missing: in the "
			       "namespace, sysctl "
			       "net.sctp.cookie_hmac_alg=none";
		return NULL;
	default:
		return NULL;
	}
}

/* If a resource is exhausted, the step that failed does not matter. */
static const char *reason_of_exhaustion(int error)
{
	switch (error) {
	case EMFILE:
		return "berthd's descriptors are used up: raise LimitNOFILE= "
		       "(ulimit -n)";
	case ENFILE:
		return "the system's open files are used up: raise "
		       "fs.file-max";
	case ENOMEM:
	case ENOBUFS:
		return "the kernel is out of memory for it";
	default:
		return NULL;
	}
}

static const char *reason_static(const struct binder_failure *failure,
				 const struct endpoint *endpoint)
{
	const char *text = reason_of_exhaustion(failure->error);

	if (text && failure->step != BINDER_STEP_LIMIT)
		return text;
	switch (failure->step) {
	case BINDER_STEP_NETNS:
		if (failure->error == ESTALE)
			return "the namespace is on its way out";
		if (failure->error == EPERM)
			return "not allowed to enter the namespace: "
			       "CAP_SYS_ADMIN is missing";
		return NULL;
	case BINDER_STEP_SOCKET:
		return reason_of_socket(failure->error, endpoint->protocol);
	case BINDER_STEP_BIND:
	case BINDER_STEP_LISTEN:
		return reason_of_bind(failure->error, endpoint);
	case BINDER_STEP_OPTION:
	case BINDER_STEP_LIMIT:
	case BINDER_STEP_AWAIT:
		return NULL;
	case BINDER_STEP_EARLY:
		return "its rule opens it later (\"after\"), and leaves the "
		       "port to others until then";
	}
	return NULL;
}

static const char *reason_step(enum binder_step step)
{
	switch (step) {
	case BINDER_STEP_NETNS:
		return "the namespace cannot be entered";
	case BINDER_STEP_SOCKET:
		return "no socket can be made";
	case BINDER_STEP_BIND:
		return "cannot bind";
	case BINDER_STEP_LISTEN:
		return "cannot listen";
	case BINDER_STEP_OPTION:
	case BINDER_STEP_LIMIT:
	case BINDER_STEP_AWAIT:
	case BINDER_STEP_EARLY:
		break;
	}
	return "cannot open";
}

static void reason_compose(const struct binder_failure *failure,
			   size_t max_listeners, char *buffer)
{
	char text[128];
	const char *error = strerror_r(failure->error, text, sizeof(text));

	if (failure->step == BINDER_STEP_LIMIT)
		(void)snprintf(buffer, REASON_MAX,
			       "berth's limit of %zu open listeners is reached",
			       max_listeners);
	else if (failure->step == BINDER_STEP_AWAIT)
		(void)snprintf(
			buffer, REASON_MAX,
			"its consumer, or the service manager, may have it "
			"from before berthd was started, and is waited for");
	else if (failure->step == BINDER_STEP_OPTION)
		(void)snprintf(buffer, REASON_MAX,
			       "option %s cannot be set: %s", failure->option,
			       error);
	else
		(void)snprintf(buffer, REASON_MAX, "%s: %s",
			       reason_step(failure->step), error);
}

static void reason_compose_blocked(const struct listener *blocker, char *buffer)
{
	char endpoint[ENDPOINT_TEXT_MAX];

	/* The name of the rule is cut, if need be, not the sentence. */
	(void)snprintf(buffer, REASON_MAX,
		       "berth's own listener %s holds the port (rule '%.96s')",
		       endpoint_fmt(&blocker->endpoint, endpoint),
		       blocker->service->rule ? blocker->service->rule : "");
}

static void reason_compose_held(const char *holder, char *buffer)
{
	(void)snprintf(buffer, REASON_MAX,
		       "%.96s has not let go of berth's earlier socket on the "
		       "port yet",
		       holder); /* fits */
}

static void reason_keep(struct binder_row *row, const char *text)
{
	if (row->reason_text && strcmp(row->reason_text, text) == 0)
		return;
	free(row->reason_text);
	row->reason_text = strdup(text);
}

void binder_reason_set(struct binder_row *row,
		       const struct binder_failure *failure,
		       const struct binder_row *blocker, const char *holder,
		       size_t max_listeners)
{
	struct listener *listener = &row->listener;
	const char *text = NULL;
	char composed[REASON_MAX];

	row->held = holder != NULL;
	listener->error = failure->error;
	listener->blocked_by = blocker ? blocker->listener.id : 0;
	if (blocker)
		reason_compose_blocked(&blocker->listener, composed);
	else if (holder)
		reason_compose_held(holder, composed);
	else if (!(text = reason_static(failure, &listener->endpoint)))
		reason_compose(failure, max_listeners, composed);
	if (!text) {
		reason_keep(row, composed);
		text = row->reason_text;
	}
	listener->reason = text ? text : "out of memory";
}
