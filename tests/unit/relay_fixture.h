/* SPDX-License-Identifier: Apache-2.0 */
/* relay_fixture.h - a relay in a child process, with the test in berthd's
 * place, and its clients and backends on the loopback interface
 */
#ifndef TESTS_UNIT_RELAY_FIXTURE_H
#define TESTS_UNIT_RELAY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/util.h"
#include "lib/berth.h"
#include "relay/core/admission.h"
#include "relay/core/relay.h"
#include "relay/protocols.h"
#include "tests/send_fds.h"

#define WAIT_S 60 /* for what must come; an emulated machine is slow */
#define SOON_MS 300 /* for what must not come */

static int berthd_fd = -1;
static pid_t relay_pid;
static uint64_t last_id;

/* The relay */

static inline void relay_main(int fd, size_t n_workers)
{
	const struct relay_config config = {
		.protocols = relay_protocols,
		.n_workers = n_workers,
	};
	struct relay *relay;
	struct berth *berth;
	struct loop *loop;
	int r;

	/* cmocka's handlers would run the other tests in this process. */
	for (int number = 1; number < SIGRTMIN; number++)
		(void)signal(number, SIG_DFL); /* two cannot be set, and are */
	log_init("relay", LOG_LEVEL_ERROR);
	if (admission_init(16, n_workers) < 0 || loop_new(&loop) < 0 ||
	    berth_new(fd, "test", &berth) < 0 ||
	    relay_new(loop, berth, &config, &relay) < 0)
		_exit(99);
	r = loop_run(loop);
	relay = relay_free(relay);
	loop = loop_free(loop);
	berth = berth_free(berth);
	if (!admission_all_returned())
		_exit(97);
	_exit(r < 0 ? 98 : 0);
}

#define BACKEND_BEGIN "{\"type\":\"backend\","

static inline void set_wait(int fd, int wait_ms)
{
	struct timeval tv = { .tv_sec = wait_ms / 1000,
			      .tv_usec = wait_ms % 1000 * 1000 };

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

/* @send_buffer: what the relay may say before berthd reads; 0: the default */
static inline void relay_start(size_t n_workers, int send_buffer)
{
	char hello[256];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	if (send_buffer)
		assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF,
					    &send_buffer, sizeof(send_buffer)),
				 0);
	relay_pid = fork();
	if (relay_pid == 0) {
		(void)close(fds[0]);
		relay_main(fds[1], n_workers);
	}
	(void)close(fds[1]);
	berthd_fd = fds[0];
	set_wait(berthd_fd, WAIT_S * 1000);
	assert_true(recv(berthd_fd, hello, sizeof(hello), 0) > 0);
}

/* Its end must be clean: sanitizers make it another one. */
static inline void relay_stop(void)
{
	int status;

	cleanup_close(&berthd_fd);
	assert_int_equal(waitpid(relay_pid, &status, 0), relay_pid);
	assert_int_equal(status, 0);
}

/* berthd's part */

static inline void berthd_says(const char *text, int fd)
{
	assert_true(send_fd(berthd_fd, text, strlen(text), fd, 0) > 0);
}

/* One message of the relay's, but for those that tell of a backend: they come
 * beside all else. Return: false when none comes in time. */
static inline bool berthd_hears(char *text, size_t size, int wait_ms)
{
	ssize_t n;

	set_wait(berthd_fd, wait_ms);
	do {
		n = recv(berthd_fd, text, size - 1, 0);
		text[n > 0 ? n : 0] = '\0';
	} while (strncmp(text, BACKEND_BEGIN, strlen(BACKEND_BEGIN)) == 0);
	return n > 0;
}

/* @netns: a number that stands for the listener's namespace */
static inline uint64_t send_listener_of(uint64_t netns, uint64_t id, int fd,
					const char *protocol,
					const char *members)
{
	char text[1024];

	(void)snprintf(
		text, sizeof(text),
		"{\"type\":\"listener\",\"id\":%llu,\"netns\":{\"id\":%llu},"
		"\"protocol\":\"%s\",\"address\":\"127.0.0.1\",\"port\":1,"
		"\"rule\":\"test\",%s}",
		(unsigned long long)id, (unsigned long long)netns, protocol,
		members);
	berthd_says(text, fd);
	return id;
}

static inline uint64_t send_listener(uint64_t id, int fd, const char *protocol,
				     const char *members)
{
	return send_listener_of(1, id, fd, protocol, members);
}

static inline void send_withdraw(uint64_t id, bool abort)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "{\"type\":\"withdraw\",\"id\":%llu,\"abort\":%s}",
		       (unsigned long long)id, abort ? "true" : "false");
	berthd_says(text, -1);
}

/* Return: the id, or 0 when no answer came in time. */
static inline uint64_t receive_released(int wait_ms)
{
	unsigned long long id;
	char text[512];

	if (!berthd_hears(text, sizeof(text), wait_ms))
		return 0;
	assert_int_equal(
		sscanf(text, "{\"type\":\"released\",\"id\":%llu", &id), 1);
	return id;
}

static inline void withdraw(uint64_t id, bool abort)
{
	send_withdraw(id, abort);
	assert_int_equal(receive_released(WAIT_S * 1000), id);
}

/* Sockets */

static inline int bound_socket(int type, const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	if (type == SOCK_DGRAM)
		assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on,
					    sizeof(on)),
				 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 512), 0);
	return fd;
}

static inline uint16_t port_of(int fd)
{
	struct sockaddr_in in = { .sin_port = 0 };
	socklen_t len = sizeof(in);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

/* A port that refuses connections, and is nobody else's meanwhile */
static inline int refusing_socket(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* Opens a listener on 127.0.0.1 and hands it to the relay as berthd would. */
static inline int open_listener(const char *protocol, const char *members,
				uint64_t *ret_id)
{
	int type = strcmp(protocol, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
	int fd = bound_socket(type,
			      type == SOCK_DGRAM ? "0.0.0.0" : "127.0.0.1");

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	*ret_id = send_listener(++last_id, fd, protocol, members);
	return fd;
}

static inline int connect_to(int type, const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, type, 0);

	assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
	set_wait(fd, WAIT_S * 1000);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static inline int connect_listener(int listener_fd)
{
	return connect_to(SOCK_STREAM, "127.0.0.1", port_of(listener_fd));
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

static inline void expect(int fd, const char *text)
{
	char buffer[64] = "";
	size_t len = strlen(text), got = 0;
	ssize_t n;

	while (got < len) {
		n = recv(fd, buffer + got, len - got, 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(buffer, text);
}

static inline void expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	(void)close(fd);
}

static inline void expect_reset(int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	(void)close(fd);
}

/* A client that finds no backend. The reset may come before connect(2) has
 * returned, which then tells of it. */
static inline void expect_no_backend(int listener_fd)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(port_of(listener_fd)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_wait(fd, WAIT_S * 1000);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0) {
		expect_reset(fd);
		return;
	}
	assert_int_equal(errno, ECONNRESET);
	(void)close(fd);
}

static inline void expect_silence(int fd)
{
	char byte;

	set_wait(fd, SOON_MS);
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	set_wait(fd, WAIT_S * 1000);
}

static inline int accept_from(int fd)
{
	int conn_fd = accept(fd, NULL, NULL);

	assert_true(conn_fd >= 0);
	set_wait(conn_fd, WAIT_S * 1000);
	return conn_fd;
}

static inline void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	(void)close(fd);
}

/* "action": "forward" to what is bound to @backend_fd */
static inline const char *forward_to(int backend_fd, const char *more)
{
	static char text[256];

	(void)snprintf(text, sizeof(text),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\"]%s",
		       port_of(backend_fd), more);
	return text;
}

#endif
