// SPDX-License-Identifier: Apache-2.0
/* varlink_conns.c - the connections of a Varlink server: framing, deadlines
 *
 * Theory of operation: a connection is in one of four states, which follows
 * from its buffers alone.
 *
 *   idle      no input, no output. Waits for EPOLLIN, without a deadline: a
 *             client may keep its connection. The longest idle one makes way
 *             when there are too many.
 *   reading   half a call. Waits for EPOLLIN until the deadline, which the
 *             call's first byte set: a call of 64 KiB needs no longer.
 *   waiting   a reply is not complete, and there is nothing to send now. Reads
 *             nothing, waits for the client to hang up. A deferred reply has a
 *             deadline, far beyond any reply's; a list that says it will go on
 *             some time has none.
 *   writing   a reply is not sent yet, or a whole call not answered yet.
 *             Waits for EPOLLOUT, reads nothing (that is the back-pressure: a
 *             client that pipelines calls and reads no replies fills its own
 *             socket), until a deadline that each byte sent moves. A list that
 *             is patient has none.
 *
 * A list's next piece is made when the one before is sent, one in each turn of
 * the loop. So a connection costs at most one call, and one reply that is not a
 * list or one piece. All deadlines share one timer, which is set only while
 * there is one.
 *
 * A descriptor comes with the bytes of one sendmsg(2), and a read ends behind
 * them. So it belongs to the call that the last byte of the read is part of.
 * Nothing is read while whole calls wait for their answer, so there is at most
 * one; a second one for the same call is refused.
 */
#include "daemon/control/varlink_conns.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/close_safely.h"
#include "common/log.h"
#include "common/util.h"
#include "daemon/control/varlink_call.h"
#include "daemon/control/varlink_output.h"

#define INPUT_MIN 1024

/* Calls answered before other descriptors get their turn: of root's programs,
 * and of others', one of whom may call without end. */
#define CALLS_PER_WAKEUP 16
#define USER_CALLS_PER_WAKEUP 2

/**
 * struct varlink_conn - one client
 * @id:		its number
 * @uid:	of the client
 * @input:	@input_len bytes that were read; calls are taken from the front
 * @passed_fd:	a descriptor that came with the call that has the byte of @input
 *		at @passed_at; -1: none
 * @kept:	something ends with it: it makes way for nobody
 * @eof:	the client sends nothing more, but still reads
 * @refused:	to be closed once @output is sent; what it sends is ignored
 * @deadline_us: 0 while idle
 * @active_us:	when it last asked something
 */
struct varlink_conn {
	struct varlink_conns *conns;
	struct loop_source *source;
	uint64_t id;
	uid_t uid;
	int fd;
	char *input;
	size_t input_len;
	size_t input_capacity;
	int passed_fd;
	size_t passed_at;
	struct varlink_output output;
	bool kept;
	bool eof;
	bool refused;
	uint64_t deadline_us;
	uint64_t active_us;
	struct varlink_conn *prev, *next;
};

/**
 * struct varlink_conns - all of one server
 * @timeout_us:	VARLINK_TIMEOUT_US, but for tests
 * @last_id:	of the connections
 * @n_kept:	how many of them are kept
 */
struct varlink_conns {
	struct loop *loop;
	const struct varlink_interface *interface;
	void *user_data;
	struct loop_timer *timer;
	uint64_t timeout_us;
	uint64_t last_id;
	struct varlink_conn *list;
	size_t n;
	size_t n_kept;
};

static bool is_privileged(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static void conn_free(struct varlink_conn *conn)
{
	struct varlink_conns *conns = conn->conns;

	DL_DELETE(conns->list, conn);
	conns->n--;
	conns->n_kept -= conn->kept;
	loop_source_free(conn->source);
	close_stream(conn->fd);
	varlink_cancel(&conn->output);
	varlink_output_done(&conn->output);
	if (conn->passed_fd >= 0)
		close_foreign(conn->passed_fd);
	if (conns->interface->disconnected)
		conns->interface->disconnected(conn->id, conns->user_data);
	free(conn->input);
	free(conn);
}

static bool conn_has_call(const struct varlink_conn *conn)
{
	return !conn->refused &&
	       memchr(conn->input, '\0', conn->input_len) != NULL;
}

static bool conn_waiting(const struct varlink_conn *conn)
{
	return varlink_output_waits(&conn->output);
}

static bool conn_writing(const struct varlink_conn *conn)
{
	return varlink_output_pending(&conn->output) ||
	       (conn->input_len > 0 && conn_has_call(conn));
}

static bool conn_idle(const struct varlink_conn *conn)
{
	return conn->input_len == 0 && !conn_waiting(conn) &&
	       !conn_writing(conn);
}

static void conn_set_deadline(struct varlink_conn *conn)
{
	if (conn->output.patient) {
		conn->deadline_us = 0;
		return;
	}
	conn->deadline_us = loop_now_us(conn->conns->loop) +
			    conn->conns->timeout_us +
			    (conn->output.deferred ? conn->output.extra_us : 0);
	loop_timer_set_earlier(conn->conns->timer, conn->deadline_us);
}

static int conn_reserve_input(struct varlink_conn *conn)
{
	size_t capacity = conn->input_capacity * 2;
	char *input;

	if (conn->input_len < conn->input_capacity)
		return 0;
	if (capacity == 0)
		capacity = INPUT_MIN;
	if (capacity > VARLINK_REQUEST_MAX)
		return -EMSGSIZE;
	input = realloc(conn->input, capacity);
	if (!input)
		return -ENOMEM;
	conn->input = input;
	conn->input_capacity = capacity;
	return 0;
}

static void conn_consume(struct varlink_conn *conn, size_t n)
{
	conn->input_len -= n;
	conn->passed_at -= conn->passed_fd >= 0 ? n : 0;
	if (conn->input_len > 0) {
		memmove(conn->input, conn->input + n, conn->input_len);
		return;
	}
	free(conn->input);
	conn->input = NULL;
	conn->input_capacity = 0;
}

/* Says why nothing more of the client is heard. Return: 0 or -ENOMEM. */
static int conn_refuse(struct varlink_conn *conn, const char *message)
{
	int r;

	conn->refused = true;
	r = varlink_refuse(conn->conns->interface, message, &conn->output);
	return r == -EBADMSG ? 0 : r;
}

/* Return: 0, or negative when the connection is to be ended at once. */
static int conn_read(struct varlink_conn *conn)
{
	_cleanup_foreign_ int passed_fd = -1;
	int r = conn_reserve_input(conn);
	ssize_t n;

	if (r == -EMSGSIZE)
		return conn_refuse(conn, "the call is longer than 64 KiB");
	if (r < 0)
		return r;
	n = receive_bytes_safely(conn->fd, conn->input + conn->input_len,
				 conn->input_capacity - conn->input_len,
				 &passed_fd);
	if (n == -EPROTO || (passed_fd >= 0 && conn->passed_fd >= 0))
		return conn_refuse(conn, "expected at most one descriptor with "
					 "a call");
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	if (n == 0)
		conn->eof = true;
	else if (conn->input_len == 0)
		conn_set_deadline(conn);
	conn->input_len += (size_t)n;
	if (passed_fd >= 0) {
		conn->passed_fd = TAKE_FD(passed_fd);
		conn->passed_at = conn->input_len - 1;
	}
	conn->active_us = loop_now_us(conn->conns->loop);
	return 0;
}

/* Return: 1 when all is sent, 0 when the client has to read first. */
static int conn_write(struct varlink_conn *conn)
{
	struct varlink_output *output = &conn->output;
	ssize_t n;
	int r = varlink_output_fill(output);

	if (r < 0)
		return r;
	if (output->sent < output->len) {
		n = send(conn->fd, output->data + output->sent,
			 output->len - output->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		output->sent += (size_t)n;
		conn_set_deadline(conn);
	}
	if (varlink_output_pending(output) || varlink_output_waits(output))
		return 0;
	varlink_output_done(output);
	return 1;
}

/* Is there room for one more connection of @uid that makes way for nobody? */
static bool conns_may_keep(const struct varlink_conns *conns, uid_t uid)
{
	size_t n_users = 0, n_own = 0;
	const struct varlink_conn *conn;

	if (is_privileged(uid))
		return conns->n_kept < VARLINK_KEPT_MAX;
	DL_FOREACH (conns->list, conn) {
		n_users += conn->kept && !is_privileged(conn->uid);
		n_own += conn->kept && conn->uid == uid;
	}
	return n_own < VARLINK_USER_KEPT_MAX &&
	       n_users < VARLINK_USERS_KEPT_MAX &&
	       conns->n_kept < VARLINK_KEPT_MAX;
}

/* Answers the call at the front of the input. */
static int conn_answer(struct varlink_conn *conn)
{
	struct varlink_message message = {
		.text = conn->input,
		.len = strnlen(conn->input, conn->input_len),
		.connection = conn->id,
		.uid = conn->uid,
		.socket = conn->fd,
		.fd = -1,
		.may_keep = conn->kept ||
			    conns_may_keep(conn->conns, conn->uid),
	};
	int r;

	if (conn->passed_fd >= 0 && conn->passed_at <= message.len)
		message.fd = TAKE_FD(conn->passed_fd);
	r = varlink_dispatch(conn->conns->interface, conn->conns->user_data,
			     &message, &conn->output);
	if (message.fd >= 0)
		close_foreign(message.fd);
	if (message.keep && !conn->kept) {
		conn->kept = true;
		conn->conns->n_kept++;
	}
	if (r == -EBADMSG) {
		conn->refused = true;
		r = 0;
	}
	conn_consume(conn, message.len + 1);
	if (conn->input_len > 0 || conn_waiting(conn))
		conn_set_deadline(conn);
	return r;
}

/* Writes and answers as far as it goes, within limits. */
static int conn_work(struct varlink_conn *conn)
{
	unsigned int max = is_privileged(conn->uid) ? CALLS_PER_WAKEUP
						    : USER_CALLS_PER_WAKEUP;

	for (unsigned int i = 0; i < max; i++) {
		int r;

		if (varlink_output_pending(&conn->output)) {
			r = conn_write(conn);
			if (r <= 0)
				return r;
		}
		if (conn_waiting(conn) || conn->input_len == 0 ||
		    !conn_has_call(conn))
			return 0;
		r = conn_answer(conn);
		if (r < 0)
			return r;
	}
	return 0;
}

/* While a reply is waited for. A client that only stopped sending still wants
 * the reply: from then on only EPOLLHUP and EPOLLERR are heard, which need not
 * be asked for. */
static void conn_hang_up(struct varlink_conn *conn, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR) ||
	    loop_source_set_events(conn->source, EPOLLET) < 0)
		conn_free(conn);
	else
		conn->eof = true;
}

/* After work: what it waits for next. */
static void conn_settle(struct varlink_conn *conn)
{
	uint32_t events = EPOLLIN;

	if (conn_waiting(conn)) {
		events = conn->eof ? EPOLLET : EPOLLRDHUP;
		if (!conn->output.deferred)
			conn->deadline_us = 0;
	} else if (conn_writing(conn)) {
		events = EPOLLOUT;
	} else if (conn->eof || conn->refused) {
		conn_free(conn);
		return;
	} else if (conn->input_len == 0) {
		conn->deadline_us = 0;
	}
	if (loop_source_set_events(conn->source, events) < 0)
		conn_free(conn);
}

static void conn_handler(uint32_t events, void *user_data)
{
	struct varlink_conn *conn = user_data;
	int r = 0;

	if (conn_waiting(conn)) {
		conn_hang_up(conn, events);
		return;
	}
	/* Errors and hang-ups come out of recv(2) and send(2), behind what
	 * the client sent before. */
	if (!conn_writing(conn))
		r = conn_read(conn);
	if (r == 0)
		r = conn_work(conn);
	if (r < 0) {
		log_debug("control: a connection ends: %s", strerror(-r));
		conn_free(conn);
		return;
	}
	conn_settle(conn);
}

/* There is something to send after a wait: conn_handler() does. */
static void conn_wake(struct varlink_output *output, int result)
{
	struct varlink_conn *conn =
		container_of(output, struct varlink_conn, output);

	conn_set_deadline(conn);
	if (result < 0 || loop_source_set_events(conn->source, EPOLLOUT) < 0)
		conn_free(conn);
}

static void conns_timer_handler(void *user_data)
{
	struct varlink_conns *conns = user_data;
	uint64_t now_us = loop_now_us(conns->loop);
	struct varlink_conn *conn, *next;

	DL_FOREACH_SAFE (conns->list, conn, next) {
		if (!conn->deadline_us)
			continue;
		if (conn->deadline_us <= now_us) {
			log_info("control: a client stopped in the middle of "
				 "a call; closing its connection");
			conn_free(conn);
		} else {
			loop_timer_set_earlier(conns->timer, conn->deadline_us);
		}
	}
}

/* Ends the longest idle connection: one of @uid, or with -1 one of any user but
 * root, and of root if there is none. */
static int conns_end_idle(struct varlink_conns *conns, uid_t uid)
{
	struct varlink_conn *conn, *idle = NULL;
	bool any = uid == (uid_t)-1;

	DL_FOREACH (conns->list, conn) {
		if (conn->kept || !conn_idle(conn) ||
		    (!any && conn->uid != uid))
			continue;
		if (!idle ||
		    is_privileged(conn->uid) < is_privileged(idle->uid) ||
		    (is_privileged(conn->uid) == is_privileged(idle->uid) &&
		     conn->active_us < idle->active_us))
			idle = conn;
	}
	if (!idle)
		return -EBUSY;
	conn_free(idle);
	return 0;
}

/* Makes room for one more connection of @uid. */
static int conns_make_room(struct varlink_conns *conns, uid_t uid)
{
	size_t n_users = 0, n_own = 0;
	const struct varlink_conn *conn;

	if (is_privileged(uid))
		return conns->n < VARLINK_CONNECTIONS_MAX
			       ? 0
			       : conns_end_idle(conns, (uid_t)-1);
	DL_FOREACH (conns->list, conn) {
		n_users += !is_privileged(conn->uid);
		n_own += conn->uid == uid;
	}
	if (n_own < VARLINK_USER_CONNECTIONS_MAX &&
	    n_users < VARLINK_USERS_CONNECTIONS_MAX &&
	    conns->n < VARLINK_CONNECTIONS_MAX)
		return 0;
	return conns_end_idle(conns, uid);
}

static uid_t peer_uid(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	/* Nobody's, if it is no socket. */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0
		       ? (uid_t)-1
		       : peer.uid;
}

int varlink_conns_add(struct varlink_conns *conns, int fd)
{
	struct varlink_conn *conn = malloc(sizeof(*conn));
	uid_t uid = peer_uid(fd);
	int r = conn ? conns_make_room(conns, uid) : -ENOMEM;

	if (r < 0) {
		free(conn);
		(void)close(fd); /* nothing was sent or read */
		return r;
	}
	*conn = (struct varlink_conn){
		.conns = conns,
		.id = ++conns->last_id,
		.uid = uid,
		.fd = fd,
		.passed_fd = -1,
		.active_us = loop_now_us(conns->loop),
		.output.wake = conn_wake,
	};
	DL_APPEND(conns->list, conn);
	conns->n++;
	r = loop_add(conns->loop, fd, EPOLLIN, conn_handler, conn,
		     &conn->source);
	if (r < 0)
		conn_free(conn);
	return r;
}

void varlink_conns_end_unless(struct varlink_conns *conns,
			      bool (*keep)(int fd, void *user_data),
			      void *user_data)
{
	struct varlink_conn *conn, *next;

	DL_FOREACH_SAFE (conns->list, conn, next) {
		if (!keep(conn->fd, user_data))
			conn_free(conn);
	}
}

size_t varlink_conns_count(const struct varlink_conns *conns)
{
	return conns->n;
}

void varlink_conns_set_timeout(struct varlink_conns *conns, uint64_t timeout_us)
{
	conns->timeout_us = timeout_us;
}

int varlink_conns_new(struct loop *loop,
		      const struct varlink_interface *interface,
		      void *user_data, struct varlink_conns **ret_conns)
{
	struct varlink_conns *conns = malloc(sizeof(*conns));
	int r;

	if (!conns)
		return -ENOMEM;
	*conns = (struct varlink_conns){
		.loop = loop,
		.interface = interface,
		.user_data = user_data,
		.timeout_us = VARLINK_TIMEOUT_US,
	};
	r = loop_timer_new(loop, conns_timer_handler, conns, &conns->timer);
	if (r < 0) {
		free(conns);
		return r;
	}
	*ret_conns = conns;
	return 0;
}

struct varlink_conns *varlink_conns_free(struct varlink_conns *conns)
{
	struct varlink_conn *conn, *next;

	if (!conns)
		return NULL;
	DL_FOREACH_SAFE (conns->list, conn, next)
		conn_free(conn);
	loop_timer_free(conns->timer);
	free(conns);
	return NULL;
}
