// SPDX-License-Identifier: Apache-2.0
/* varlink.c - the connections of a Varlink server: framing, limits, deadlines
 *
 * Theory of operation: a connection is in one of four states, which follows
 * from its buffers alone.
 *
 *   idle      no input, no output. Waits for EPOLLIN, without a deadline: a
 *             client may keep its connection. The longest idle one makes way
 *             when there are too many.
 *   reading   half a call. Waits for EPOLLIN until the deadline, which the
 *             call's first byte set: a call of 64 KiB needs no longer.
 *   waiting   a call's reply was deferred. Waits for EPOLLRDHUP, reads nothing;
 *             the deadline is far beyond any reply's.
 *   writing   a reply is not sent yet, or a whole call not answered yet.
 *             Waits for EPOLLOUT, reads nothing (that is the back-pressure: a
 *             client that pipelines calls and reads no replies fills its own
 *             socket), until a deadline that each byte sent moves.
 *
 * A list's next piece is made when the one before is sent. So a connection
 * costs at most one call, and one reply that is not a list or one piece. All
 * deadlines share one timer, which is set only while there is one.
 */
#include "daemon/control/varlink_internal.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utlist.h>

#include "common/log.h"
#include "common/util.h"

#define BACKLOG 16
#define INPUT_MIN 1024

/* Calls answered before other descriptors get their turn. */
#define CALLS_PER_WAKEUP 16

/* Without descriptors accept(2) fails at once and the socket stays readable:
 * look again after this long, instead of spinning. */
#define ACCEPT_PAUSE_US USEC_PER_SEC

/**
 * struct varlink_conn - one client
 * @input:	@input_len bytes that were read; calls are taken from the front
 * @eof:	the client sends nothing more, but still reads
 * @refused:	to be closed once @output is sent; what it sends is ignored
 * @deadline_us: 0 while idle
 * @active_us:	when it last asked something
 */
struct varlink_conn {
	struct varlink_server *server;
	struct loop_source *source;
	int fd;
	char *input;
	size_t input_len;
	size_t input_capacity;
	struct varlink_output output;
	bool eof;
	bool refused;
	uint64_t deadline_us;
	uint64_t active_us;
	struct varlink_conn *prev, *next;
};

/**
 * struct varlink_server - see the file's head
 * @path:	of the socket's file; "" without one
 * @timeout_us:	VARLINK_TIMEOUT_US, but for tests
 * @accept_us:	when accepting goes on; 0 while it does
 */
struct varlink_server {
	struct loop *loop;
	const struct varlink_interface *interface;
	void *user_data;
	int listen_fd;
	struct loop_source *listen_source;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct loop_timer *timer;
	uint64_t timeout_us;
	uint64_t accept_us;
	struct varlink_conn *conns;
	size_t n_conns;
};

static void conn_free(struct varlink_conn *conn)
{
	struct varlink_server *server = conn->server;

	DL_DELETE(server->conns, conn);
	server->n_conns--;
	loop_source_free(conn->source);
	(void)close(conn->fd); /* a reader's and writer's end: nothing lost */
	varlink_output_cancel(&conn->output);
	varlink_output_done(&conn->output);
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
	return conn->output.deferred != NULL;
}

static bool conn_writing(const struct varlink_conn *conn)
{
	return varlink_output_pending(&conn->output) ||
	       (conn->input_len > 0 && conn_has_call(conn));
}

static void conn_set_deadline(struct varlink_conn *conn)
{
	conn->deadline_us =
		loop_now_us(conn->server->loop) + conn->server->timeout_us;
	loop_timer_set_earlier(conn->server->timer, conn->deadline_us);
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
	if (conn->input_len > 0) {
		memmove(conn->input, conn->input + n, conn->input_len);
		return;
	}
	free(conn->input);
	conn->input = NULL;
	conn->input_capacity = 0;
}

/* Return: 0, or negative when the connection is to be ended at once. */
static int conn_read(struct varlink_conn *conn)
{
	int r = conn_reserve_input(conn);
	ssize_t n;

	if (r == -EMSGSIZE) {
		conn->refused = true;
		r = varlink_refuse(conn->server->interface,
				   "the call is longer than 64 KiB",
				   &conn->output);
		return r == -EBADMSG ? 0 : r;
	}
	if (r < 0)
		return r;
	n = recv(conn->fd, conn->input + conn->input_len,
		 conn->input_capacity - conn->input_len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		conn->eof = true;
	else if (conn->input_len == 0)
		conn_set_deadline(conn);
	conn->input_len += (size_t)n;
	conn->active_us = loop_now_us(conn->server->loop);
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
	if (varlink_output_pending(output))
		return 0;
	varlink_output_done(output);
	return 1;
}

/* Answers the call at the front of the input. */
static int conn_answer(struct varlink_conn *conn)
{
	size_t len = strnlen(conn->input, conn->input_len);
	int r = varlink_dispatch(conn->server->interface,
				 conn->server->user_data, conn->input, len,
				 &conn->output);

	if (r == -EBADMSG) {
		conn->refused = true;
		r = 0;
	}
	conn_consume(conn, len + 1);
	if (conn->input_len > 0 || conn_waiting(conn))
		conn_set_deadline(conn);
	return r;
}

/* Writes and answers as far as it goes, within limits. */
static int conn_work(struct varlink_conn *conn)
{
	for (unsigned int i = 0; i < CALLS_PER_WAKEUP; i++) {
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

/* While it waits: a client that only stopped sending still wants the reply. */
static void conn_hang_up(struct varlink_conn *conn, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR) ||
	    loop_source_set_events(conn->source, 0) < 0)
		conn_free(conn);
}

/* After work: what it waits for next. */
static void conn_settle(struct varlink_conn *conn)
{
	bool writing = conn_writing(conn);
	uint32_t events = writing ? EPOLLOUT : EPOLLIN;

	if (conn_waiting(conn)) {
		events = EPOLLRDHUP;
	} else if (!writing && (conn->eof || conn->refused)) {
		conn_free(conn);
		return;
	} else if (!writing && conn->input_len == 0) {
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

/* The deferred reply is there: it goes out from conn_handler(). */
static void conn_wake(struct varlink_output *output, int result)
{
	struct varlink_conn *conn =
		container_of(output, struct varlink_conn, output);

	conn_set_deadline(conn);
	if (result < 0 || loop_source_set_events(conn->source, EPOLLOUT) < 0)
		conn_free(conn);
}

static void server_timer_handler(void *user_data)
{
	struct varlink_server *server = user_data;
	uint64_t now_us = loop_now_us(server->loop);
	struct varlink_conn *conn, *next;

	if (server->accept_us && server->accept_us <= now_us) {
		server->accept_us = 0;
		if (loop_source_set_events(server->listen_source, EPOLLIN) < 0)
			server->accept_us = now_us + ACCEPT_PAUSE_US;
	}
	if (server->accept_us)
		loop_timer_set_earlier(server->timer, server->accept_us);
	DL_FOREACH_SAFE (server->conns, conn, next) {
		if (!conn->deadline_us)
			continue;
		if (conn->deadline_us <= now_us) {
			log_info("control: a client stopped in the middle of "
				 "a call; closing its connection");
			conn_free(conn);
		} else {
			loop_timer_set_earlier(server->timer,
					       conn->deadline_us);
		}
	}
}

/* Makes room for one more connection, at the cost of the longest idle. */
static int server_make_room(struct varlink_server *server)
{
	struct varlink_conn *conn, *idle = NULL;

	if (server->n_conns < VARLINK_CONNECTIONS_MAX)
		return 0;
	DL_FOREACH (server->conns, conn) {
		if (!conn->deadline_us &&
		    (!idle || conn->active_us < idle->active_us))
			idle = conn;
	}
	if (!idle)
		return -EBUSY;
	conn_free(idle);
	return 0;
}

int varlink_server_attach(struct varlink_server *server, int fd)
{
	struct varlink_conn *conn = malloc(sizeof(*conn));
	int r = conn ? server_make_room(server) : -ENOMEM;

	if (r < 0) {
		free(conn);
		(void)close(fd); /* nothing was sent or read */
		return r;
	}
	*conn = (struct varlink_conn){
		.server = server,
		.fd = fd,
		.active_us = loop_now_us(server->loop),
		.output.wake = conn_wake,
	};
	DL_APPEND(server->conns, conn);
	server->n_conns++;
	r = loop_add(server->loop, fd, EPOLLIN, conn_handler, conn,
		     &conn->source);
	if (r < 0)
		conn_free(conn);
	return r;
}

/* The socket's mode keeps others out; this is for a mode that somebody
 * changed, and for a descriptor that somebody passed on. */
static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void server_pause(struct varlink_server *server, int error)
{
	log_warning_errno(error, "control: cannot accept; retrying in 1 s");
	if (loop_source_set_events(server->listen_source, 0) < 0)
		return;
	server->accept_us = loop_now_us(server->loop) + ACCEPT_PAUSE_US;
	loop_timer_set_earlier(server->timer, server->accept_us);
}

/* One connection per wake-up: the socket stays readable for the next. */
static void server_handler(uint32_t events, void *user_data)
{
	static struct log_ratelimit limit = { .interval_us = 10 * USEC_PER_SEC,
					      .burst = 5 };
	struct varlink_server *server = user_data;
	int fd, r;

	(void)events;
	fd = accept4(server->listen_fd, NULL, NULL,
		     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			server_pause(server, errno);
		return;
	}
	if (!peer_allowed(fd)) {
		if (log_ratelimit_ok(&limit))
			log_warning("control: ignoring a client that is "
				    "neither root nor our own user");
		(void)close(fd); /* nothing was sent or read */
		return;
	}
	r = varlink_server_attach(server, fd);
	if (r < 0 && log_ratelimit_ok(&limit))
		log_warning_errno(r, "control: ignoring a client");
}

/* Only a socket: a path given by mistake costs nobody a file. */
static void remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path); /* bind(2) says what is wrong */
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t saved = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	if (r < 0)
		r = -errno;
	(void)umask(saved); /* cannot fail */
	return r;
}

int varlink_server_listen(struct varlink_server *server, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int r;

	assert(server->listen_fd < 0);
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	remove_stale(path);
	r = bind_private(fd, &address);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		r = -errno;
	else
		r = loop_add(server->loop, fd, EPOLLIN, server_handler, server,
			     &server->listen_source);
	if (r < 0) {
		(void)unlink(path); /* ours, and no use to anyone */
		return r;
	}
	server->listen_fd = TAKE_FD(fd);
	memcpy(server->path, address.sun_path, sizeof(server->path));
	return 0;
}

void varlink_server_set_timeout(struct varlink_server *server,
				uint64_t timeout_us)
{
	server->timeout_us = timeout_us;
}

size_t varlink_server_connections(const struct varlink_server *server)
{
	return server->n_conns;
}

int varlink_server_new(struct loop *loop,
		       const struct varlink_interface *interface,
		       void *user_data, struct varlink_server **ret_server)
{
	struct varlink_server *server = malloc(sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	*server = (struct varlink_server){
		.loop = loop,
		.interface = interface,
		.user_data = user_data,
		.listen_fd = -1,
		.timeout_us = VARLINK_TIMEOUT_US,
	};
	r = loop_timer_new(loop, server_timer_handler, server, &server->timer);
	if (r < 0) {
		free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
	struct varlink_conn *conn, *next;

	if (!server)
		return NULL;
	DL_FOREACH_SAFE (server->conns, conn, next)
		conn_free(conn);
	loop_source_free(server->listen_source);
	if (server->listen_fd >= 0) {
		(void)close(server->listen_fd); /* only accepts */
		(void)unlink(server->path); /* gone already is as good */
	}
	loop_timer_free(server->timer);
	free(server);
	return NULL;
}
