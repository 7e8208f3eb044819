// SPDX-License-Identifier: Apache-2.0
/* http_name.c - a consumer in C: answers with the namespace's name
 *
 *	usage: http_name [--takeover] NAME|/run/berth/consumers/NAME.sock
 *
 * An HTTP server for the listeners of every namespace that a rule hands off to
 * NAME (`handoff: NAME`). A request to a TCP or MPTCP listener is answered with
 * the name of the namespace that it came from, and so is each UDP datagram. It
 * needs libberth and epoll, no privilege, and may run as any user who may open
 * the socket (see `consumers` in berthd.yaml(5)). To build it where berth is
 * installed:
 *
 *	gcc -O2 -o http_name http_name.c $(pkg-config --cflags --libs berth)
 *
 * Theory of operation: one thread, one epoll set with berthd's connection, the
 * listeners and their connections, all level-triggered. libberth keeps what has
 * to be handed back to a berthd that was restarted; berth(3). What is freed
 *while events are handled is freed after them, because a later event of the
 *same batch may point to it. A connection is closed only when the client has
 * acknowledged everything: a socket that is closed before lives on in the
 *kernel, where nothing can reset it any more, and keeps a deleted namespace
 *alive.
 *
 * Copy it, and put your own protocol into conn_read().
 */
#include <berth.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define NAME_MAX_BYTES 256
#define ANSWER_MAX (NAME_MAX_BYTES + 128)
#define DATAGRAM_MAX 65536
#define DATAGRAMS_AT_ONCE 32 /* then others have their turn */
#define EVENTS_AT_ONCE 64
#define BUCKETS 4096
#define IDLE_SECONDS                                             \
	60 /* of a client that neither asks nor takes the answer \
	    */
#define LOOK_MS 1000 /* how often idle clients are looked for */

enum kind { BERTHD, LISTENER, CONN };

/* What epoll tells points to it. */
struct source {
	enum kind kind;
	int fd; /* -1: closed; an event that is to be handled yet means nothing
		 */
	struct source *next_ended;
};

struct conn {
	struct source source; /* first */
	struct listener *listener;
	TAILQ_ENTRY(conn) link;
	time_t used;
	size_t n_received;
	bool answered; /* it had an answer already */
	bool over; /* nothing more is answered */
	char received[REQUEST_MAX + 1];
};

struct listener {
	struct source source; /* first */
	uint64_t id;
	LIST_ENTRY(listener) bucket;
	TAILQ_ENTRY(listener) link;
	TAILQ_HEAD(, conn) conns;
	struct berth_counts counts;
	bool datagrams, paused, withdrawn;
	char name[NAME_MAX_BYTES];
};

static struct berth *berth;
static int epoll_fd;
static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);
static LIST_HEAD(, listener) buckets[BUCKETS];
static struct source *all_ended;
static time_t now; /* read once for each batch of events */
static size_t n_conns, n_paused;

/* The answer to BERTH_STATS that is under way: the listener to go on with. */
static struct {
	uint64_t request;
	struct listener *next;
	bool pending;
} stats;

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void watch(struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		die("epoll_ctl");
}

/* Before its close(2): berthd's copy of a listener would keep it in the set. */
static void unwatch(struct source *source)
{
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd,
			NULL); /* or not in */
}

static void close_source(struct source *source)
{
	close(source->fd);
	source->fd = -1;
}

static void free_later(struct source *source)
{
	source->next_ended = all_ended;
	all_ended = source;
}

static void free_ended(void)
{
	struct source *source;

	while ((source = all_ended)) {
		all_ended = source->next_ended;
		free(source);
	}
}

/* Listeners */

static struct listener *listener_find(uint64_t id)
{
	struct listener *listener;

	LIST_FOREACH(listener, &buckets[id % BUCKETS], bucket)
	if (listener->id == id)
		return listener;
	return NULL;
}

/* A withdrawn listener without connections is told to berthd. Without room in
 * the connection this is tried again when there is some. */
static void listener_release(struct listener *listener)
{
	if (!listener->withdrawn || !TAILQ_EMPTY(&listener->conns) ||
	    berth_released_counts(berth, listener->id, &listener->counts) ==
		    -EAGAIN)
		return;
	if (stats.next == listener)
		stats.next = TAILQ_NEXT(listener, link);
	TAILQ_REMOVE(&listeners, listener, link);
	LIST_REMOVE(listener, bucket);
	free_later(&listener->source);
}

/* Connections */

static void conn_free(struct conn *conn)
{
	struct listener *listener = conn->listener;

	close_source(&conn->source);
	TAILQ_REMOVE(&listener->conns, conn, link);
	listener->counts.active--;
	n_conns--;
	free_later(&conn->source);
	listener_release(listener);
}

static void conn_reset(struct conn *conn)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	/* Disconnects, which resets at once; close(2) of an MPTCP socket would
	 * do so only some time later. */
	(void)connect(conn->source.fd, &nobody, sizeof(nobody));
	conn_free(conn);
}

static bool conn_is_through(const struct conn *conn)
{
	int unacknowledged = 0;

	return ioctl(conn->source.fd, SIOCOUTQ, &unacknowledged) < 0 ||
	       unacknowledged == 0;
}

/* Ends it when the client has everything; else it is looked at later. */
static void conn_finish(struct conn *conn)
{
	conn->over = true;
	if (conn_is_through(conn)) {
		conn_free(conn);
		return;
	}
	unwatch(&conn->source);
	(void)shutdown(conn->source.fd,
		       SHUT_WR); /* fails if the client has reset */
}

static bool has(const char *head, const char *field)
{
	return strcasestr(head, field) != NULL;
}

/* Return: false when the connection is over. */
static bool conn_answer(struct conn *conn, const char *head)
{
	struct listener *listener = conn->listener;
	char answer[ANSWER_MAX];
	/* What a request carries after its head is not understood: the
	 * connection ends with the answer then. */
	bool last = listener->withdrawn || has(head, "\r\nConnection: close") ||
		    has(head, " HTTP/1.0\r\n") ||
		    has(head, "\r\nContent-Length:") ||
		    has(head, "\r\nTransfer-Encoding:");
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s\n",
			 last ? "Connection: close\r\n" : "",
			 strlen(listener->name) + 1, listener->name);

	/* A client that asks and takes no answers is not waited for. */
	if (send(conn->source.fd, answer, (size_t)n, MSG_NOSIGNAL) != n) {
		conn_reset(conn);
		return false;
	}
	conn->answered = true;
	listener->counts.bytes_out += (uint64_t)n;
	if (last)
		conn_finish(conn);
	return !last;
}

static void conn_read(struct conn *conn)
{
	ssize_t n = recv(conn->source.fd, conn->received + conn->n_received,
			 REQUEST_MAX - conn->n_received, 0);
	char *end;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_finish(conn);
		return;
	}
	conn->used = now;
	conn->listener->counts.bytes_in += (uint64_t)n;
	conn->n_received += (size_t)n;
	conn->received[conn->n_received] = '\0';
	while ((end = strstr(conn->received, "\r\n\r\n"))) {
		end[2] = '\0';
		if (!conn_answer(conn, conn->received))
			return;
		end += strlen("\r\n\r\n");
		conn->n_received -= (size_t)(end - conn->received);
		memmove(conn->received, end, conn->n_received + 1);
	}
	if (conn->n_received == REQUEST_MAX)
		conn_reset(conn); /* no head is that long */
}

/* Now and then: ends what is over, or idle. */
static void conn_look(struct conn *conn)
{
	if (conn->over && conn_is_through(conn))
		conn_free(conn);
	else if (now - conn->used > IDLE_SECONDS)
		conn_reset(conn);
}

/* Accepting */

static void listener_accept(struct listener *listener)
{
	int fd = accept4(listener->source.fd, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *conn;

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		       errno == ENOBUFS)) {
		/* Clients wait in the backlog until the next look. */
		unwatch(&listener->source);
		listener->paused = true;
		n_paused++;
	}
	if (fd < 0)
		return;
	conn = malloc(sizeof(*conn));
	if (!conn) {
		close(fd);
		return;
	}
	conn->source = (struct source){ .kind = CONN, .fd = fd };
	conn->listener = listener;
	conn->used = now;
	conn->n_received = 0;
	conn->answered = conn->over = false;
	TAILQ_INSERT_TAIL(&listener->conns, conn, link);
	listener->counts.accepted++;
	listener->counts.active++;
	n_conns++;
	watch(&conn->source);
}

/* With address `any` the answer leaves from the address that the kernel
 * chooses; a rule with `each` has none but the right one. */
static void listener_datagrams(struct listener *listener)
{
	static char data[DATAGRAM_MAX];
	char answer[NAME_MAX_BYTES + 1];
	int length = snprintf(answer, sizeof(answer), "%s\n", listener->name);

	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		struct sockaddr_storage client;
		socklen_t len = sizeof(client);
		ssize_t n = recvfrom(listener->source.fd, data, sizeof(data), 0,
				     (struct sockaddr *)&client, &len);

		if (n < 0)
			return; /* none, or an error that a client's host sent
				 */
		listener->counts.messages_in++;
		listener->counts.bytes_in += (uint64_t)n;
		if (sendto(listener->source.fd, answer, (size_t)length, 0,
			   (struct sockaddr *)&client, len) == length) {
			listener->counts.messages_out++;
			listener->counts.bytes_out += (uint64_t)length;
		} else {
			listener->counts.dropped++;
		}
	}
}

static void listener_resume(struct listener *listener)
{
	if (!listener->paused)
		return;
	listener->paused = false;
	n_paused--;
	if (listener->source.fd >= 0)
		watch(&listener->source);
}

/* What berthd says */

static void listener_describe(struct listener *listener,
			      const struct berth_listener *said)
{
	if (said->n_names > 0 || said->netns_host)
		(void)snprintf(listener->name, sizeof(listener->name), "%s",
			       said->n_names > 0 ? said->names[0] : "host");
	else
		(void)snprintf(listener->name, sizeof(listener->name), "%llu",
			       (unsigned long long)said->netns_id);
}

static bool is_served(const char *protocol)
{
	return !strcmp(protocol, "tcp") || !strcmp(protocol, "mptcp") ||
	       !strcmp(protocol, "udp");
}

static void take(struct berth_message *message)
{
	struct listener *listener = listener_find(message->id);

	if (listener) {
		listener_describe(listener, &message->listener);
		return;
	}
	if (is_served(message->listener.protocol))
		listener = calloc(1, sizeof(*listener));
	if (!listener) {
		/* Without room in the connection it is not served, and goes
		 * when berthd withdraws it or this process ends. */
		(void)berth_refuse_listener(berth, message->id);
		return;
	}
	listener->id = message->id;
	listener->source =
		(struct source){ .kind = LISTENER, .fd = message->fd };
	message->fd = -1; /* it is ours now */
	listener->datagrams = !strcmp(message->listener.protocol, "udp");
	TAILQ_INIT(&listener->conns);
	listener_describe(listener, &message->listener);
	LIST_INSERT_HEAD(&buckets[listener->id % BUCKETS], listener, bucket);
	TAILQ_INSERT_TAIL(&listeners, listener, link);
	watch(&listener->source);
}

/* close(2) alone, never shutdown(2): berthd, and whoever serves the listener
 * next, use the same socket. */
static void listener_close(struct listener *listener)
{
	if (listener->withdrawn)
		return;
	unwatch(&listener->source);
	close_source(&listener->source);
	listener->withdrawn = true;
}

static void withdraw(const struct berth_message *message)
{
	struct listener *listener = listener_find(message->id);
	struct conn *conn, *next;

	if (!listener)
		return;
	listener_close(listener);
	for (conn = TAILQ_FIRST(&listener->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (message->abort)
			conn_reset(conn);
		else if (conn->answered && conn->n_received == 0 && !conn->over)
			conn_finish(conn); /* no request is under way */
	}
	/* The last connection that ended has released it already. */
	if (listener_find(message->id))
		listener_release(listener);
}

/* Answers as far as there is room in the connection. */
static void say_stats(void)
{
	while (stats.pending && stats.next) {
		struct listener *listener = stats.next;

		if (berth_stats_add(berth, stats.request, listener->id,
				    &listener->counts) == -EAGAIN)
			return;
		stats.next = TAILQ_NEXT(listener, link);
	}
	if (stats.pending && berth_stats_end(berth, stats.request) != -EAGAIN)
		stats.pending = false;
}

static void handle(struct berth_message *message)
{
	switch (message->type) {
	case BERTH_LISTENER:
		take(message);
		break;
	case BERTH_WITHDRAW:
		withdraw(message);
		break;
	case BERTH_STATS:
		stats.request = message->request;
		stats.next = TAILQ_FIRST(&listeners);
		stats.pending = true;
		break;
	case BERTH_DENIED:
		(void)fprintf(stderr, "berthd: %s\n", berth_problem(berth));
		if (TAILQ_EMPTY(&listeners))
			exit(EXIT_FAILURE);
		break;
	case BERTH_SOCKET: /* none is asked for */
	case BERTH_NETNS_GONE:
	case BERTH_WELCOME:
	case BERTH_TAKEN_OVER: /* the listeners are withdrawn next */
	case BERTH_CONNECTIONS: /* optional, as BERTH_STATS */
	case BERTH_CLOSE:
	case BERTH_UNKNOWN:
	default: /* a newer library's */
		break;
	}
}

static void receive(void)
{
	struct berth_message *message;
	struct listener *listener, *next;
	int r;

	for (;;) {
		r = berth_receive(berth, &message);
		if (r == -EPIPE)
			r = berth_reconnect(berth);
		if (r == -ESHUTDOWN)
			exit(EXIT_SUCCESS); /* another has taken over */
		if (r == -EMFILE)
			r = berth_refuse(berth);
		if (r == -EBADMSG || r == -EPROTO)
			continue;
		if (r <= 0)
			break;
		handle(message);
		berth_message_free(message);
	}
	if (r < 0 && r != -ENOMEM && r != -EAGAIN)
		exit(EXIT_FAILURE);
	for (listener = TAILQ_FIRST(&listeners); listener; listener = next) {
		next = TAILQ_NEXT(listener, link);
		listener_release(listener);
	}
	say_stats();
}

/* The loop */

static void look_at_connections(void)
{
	struct listener *listener, *next_listener;
	struct conn *conn, *next;

	for (listener = TAILQ_FIRST(&listeners); listener;
	     listener = next_listener) {
		next_listener = TAILQ_NEXT(listener, link);
		listener_resume(listener);
		for (conn = TAILQ_FIRST(&listener->conns); conn; conn = next) {
			next = TAILQ_NEXT(conn, link);
			conn_look(conn);
		}
	}
}

static void dispatch(struct source *source)
{
	if (source->kind == BERTHD)
		receive();
	else if (source->fd < 0)
		return; /* it ended earlier in this batch */
	else if (source->kind == CONN)
		conn_read((struct conn *)source);
	else if (((struct listener *)source)->datagrams)
		listener_datagrams((struct listener *)source);
	else
		listener_accept((struct listener *)source);
}

static time_t read_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* it exists */
	return ts.tv_sec;
}

static void run(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	time_t looked = read_clock();

	for (;;) {
		/* Without connections nothing has to be looked at. */
		int n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE,
				   n_conns || n_paused ? LOOK_MS : -1);

		now = read_clock();
		for (int i = 0; i < n; i++)
			dispatch(events[i].data.ptr);
		if (now != looked) {
			look_at_connections();
			looked = now;
		}
		free_ended();
	}
}

int main(int argc, char **argv)
{
	static struct source berthd = { .kind = BERTHD };
	bool takeover = argc == 3 && !strcmp(argv[1], "--takeover");
	int r;

	if (argc != 2 && !takeover) {
		(void)fprintf(stderr,
			      "usage: %s [--takeover] NAME|/PATH/NAME.sock\n",
			      argv[0]);
		return 2;
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");
	r = berth_connect(argv[argc - 1], NULL,
			  BERTH_WAIT | (takeover ? BERTH_TAKEOVER : 0), &berth);
	if (r < 0) {
		errno = -r;
		die("berth_connect");
	}
	berthd.fd = berth_fd(berth);
	watch(&berthd);
	run();
}
