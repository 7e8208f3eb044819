// SPDX-License-Identifier: Apache-2.0
/* floor_relay.c - the least that a relay of TCP connections has to do
 *
 *   floor_relay DIR NAME PORT BACKEND_PORT
 *
 * listens in the namespace and relays to 127.0.0.1, one thread, one epoll set,
 * edge-triggered: recv(2) and send(2), and splice(2) after the first 64 KiB of
 * a direction. Only the system calls that relaying itself needs. No limits, no
 * timeouts, no counters, no second backend; a backend that hangs, hangs it,
 * and when descriptors or memory are short it ends. What it costs, the kernel
 * costs, but for chance and what a second thread changes.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>

#define EVENTS 64
#define COPY_BYTES ((size_t)64 * 1024)
#define PIPE_BYTES (1 << 20)

/**
 * struct end - of a connection: the client's or the backend's
 * @pipe:	what it said and @other has not yet got; none before it said
 *		COPY_BYTES
 */
struct end {
	int fd;
	int pipe[2];
	size_t n_piped;
	size_t n_said;
	bool ended;
	bool waits_for_room;
	struct end *other;
};

static int epoll_fd;
static struct sockaddr_in backend;
static char buffer[COPY_BYTES];

static void watch(struct end *end, int operation, uint32_t more)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET | more,
		.data.ptr = end,
	};

	if (epoll_ctl(epoll_fd, operation, end->fd, &event) < 0)
		bench_die("epoll_ctl");
}

static void wait_for_room(struct end *end)
{
	if (!end->waits_for_room)
		watch(end, EPOLL_CTL_MOD, EPOLLOUT);
	end->waits_for_room = true;
}

static void open_pipe(struct end *end)
{
	if (pipe2(end->pipe, O_NONBLOCK | O_CLOEXEC) < 0 ||
	    fcntl(end->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
		bench_die("pipe2");
}

/* A connection that is reset ends on both sides. Return: whether @n counts. */
static bool moved(struct end *end, ssize_t n)
{
	if (n >= 0)
		return true;
	if (errno == ECONNRESET || errno == EPIPE)
		end->ended = end->other->ended = true;
	else if (errno != EAGAIN)
		bench_die("relay");
	return false;
}

/* What the other side has no room for begins its pipe. */
static void begin_pipe(struct end *end, const char *rest, size_t n)
{
	open_pipe(end);
	if (n > 0 && write(end->pipe[1], rest, n) != (ssize_t)n)
		bench_die("write");
	end->n_piped = n;
	end->n_said = COPY_BYTES;
}

/* Return: is there more to be had at once? */
static bool copy(struct end *end)
{
	ssize_t n = recv(end->fd, buffer, sizeof(buffer), MSG_DONTWAIT), sent;

	if (!moved(end, n))
		return false;
	if (n == 0) {
		end->ended = true;
		return false;
	}
	sent = send(end->other->fd, buffer, (size_t)n,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!moved(end, sent)) {
		if (end->ended)
			return false;
		sent = 0;
	}
	end->n_said += (size_t)n;
	if (sent < n || end->n_said >= COPY_BYTES)
		begin_pipe(end, buffer + sent, (size_t)(n - sent));
	return sent < n || (size_t)n == sizeof(buffer);
}

/* Return: may there be more? */
static bool move(struct end *end)
{
	ssize_t n;

	if (end->n_piped == 0) {
		n = splice(end->fd, NULL, end->pipe[1], NULL, PIPE_BYTES,
			   SPLICE_F_NONBLOCK);
		if (!moved(end, n))
			return false;
		if (n == 0) {
			end->ended = true;
			return false;
		}
		end->n_piped = (size_t)n;
	}
	n = splice(end->pipe[0], NULL, end->other->fd, NULL, end->n_piped,
		   SPLICE_F_NONBLOCK);
	if (!moved(end, n)) {
		wait_for_room(end->other);
		return false;
	}
	end->n_piped -= (size_t)n;
	return true;
}

static void pump(struct end *end)
{
	if (end->ended)
		return;
	while (end->n_said < COPY_BYTES ? copy(end) : move(end))
		;
	if (end->ended && !end->other->ended)
		(void)shutdown(end->other->fd, SHUT_WR);
}

static void close_end(struct end *end)
{
	(void)close(end->fd);
	if (end->n_said >= COPY_BYTES) {
		(void)close(end->pipe[0]);
		(void)close(end->pipe[1]);
	}
}

static void on_event(struct end *end, uint32_t events)
{
	if (events & EPOLLOUT)
		pump(end->other);
	if (events & (EPOLLIN | EPOLLRDHUP))
		pump(end);
}

static void accept_one(int listener)
{
	struct end *ends = calloc(2, sizeof(*ends));
	static const int on = 1;

	if (!ends)
		bench_die("calloc");
	ends[0].other = &ends[1];
	ends[1].other = &ends[0];
	ends[0].fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ends[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (ends[0].fd < 0 || ends[1].fd < 0 ||
	    setsockopt(ends[1].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) <
		    0)
		bench_die("accept4");
	/* On the loopback interface it is connected when this returns. */
	if (connect(ends[1].fd, (const struct sockaddr *)&backend,
		    sizeof(backend)) < 0 &&
	    errno != EINPROGRESS)
		bench_die("connect");
	watch(&ends[1], EPOLL_CTL_ADD, 0);
	watch(&ends[0], EPOLL_CTL_ADD, 0);
}

static void serve(int listener)
{
	struct epoll_event events[EVENTS];
	struct end *gone[EVENTS], *end;
	int n, n_gone;

	for (;;) {
		n = epoll_wait(epoll_fd, events, EVENTS, -1);
		n_gone = 0;
		for (int i = 0; i < n; i++) {
			end = events[i].data.ptr;
			if (!end) {
				accept_one(listener);
				continue;
			}
			if (end->ended && end->other->ended)
				continue; /* the other's event was before it */
			on_event(end, events[i].events);
			if (end->ended && end->other->ended)
				gone[n_gone++] = end;
		}
		for (int i = 0; i < n_gone; i++) {
			end = gone[i] < gone[i]->other ? gone[i]
						       : gone[i]->other;
			close_end(end);
			close_end(end->other);
			free(end);
		}
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = { .events = EPOLLIN };
	static const int on = 1;
	int listener;

	if (argc != 5) {
		(void)fprintf(stderr, "usage: floor_relay DIR NAME PORT "
				      "BACKEND_PORT\n");
		return 2;
	}
	bench_init();
	bench_raise_files();
	(void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no flag */
	backend.sin_family = AF_INET;
	backend.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	backend.sin_port = htons((uint16_t)bench_number(argv[4]));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = bench_listen_in(bench_netns_open(argv[1], argv[2]), 0,
				   (uint16_t)bench_number(argv[3]));
	if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) <
		    0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0)
		bench_die("listen");
	serve(listener);
	return 0;
}
