// SPDX-License-Identifier: Apache-2.0
/* test_relay_slow.c - peers that read slowly, or not at all
 *
 * The time of the relay runs faster than the kernel's: a wait of half a minute
 * takes a fraction of a second.
 */
#include "relay_fixture.h"

#include <netinet/sctp.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "common/stream.h"

/* On a machine whose tests have longer guards everything takes longer. */
#define FASTER 30
#define FASTER_WHERE_SLOW 10
#define GUARD_S 15
#define DRAIN_MS (30u * 1000 / faster) /* in the kernel's time */
#define MUCH (1024 * 1024) /* more than its peer's kernel takes in */
#define SLOW_ROUNDS 4
#define SLOW_BYTES (MUCH / SLOW_ROUNDS / 2)

static char chunk[MUCH];
static unsigned int faster = FASTER;

static uint64_t began_ns;

static uint64_t real_ns(void)
{
	struct timespec ts;

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
				  .tv_nsec = (long)(ns % 1000000000) };
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_MONOTONIC || relay_pid != 0 || !began_ns)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = timespec_of(began_ns + (real_ns() - began_ns) * faster);
	return 0;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new_value,
		    struct itimerspec *old_value)
{
	uint64_t ns = (uint64_t)new_value->it_value.tv_sec * 1000000000 +
		      (uint64_t)new_value->it_value.tv_nsec;
	struct itimerspec real = { .it_value = new_value->it_value };

	if (ns > began_ns && relay_pid == 0)
		real.it_value =
			timespec_of(began_ns + (ns - began_ns) / faster);
	return (int)syscall(SYS_timerfd_settime, fd, flags, &real, old_value);
}

/* Kernels differ in how much they take in for who does not read. */
static void take_little(int fd)
{
	static const int bytes = 32 * 1024;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes,
				    sizeof(bytes)),
			 0);
}

/* A client and its backend's end. @options: of the listener, or "". */
static int connect_pair(const char *options, int *ret_server)
{
	int backend = bound_socket(SOCK_STREAM, "127.0.0.1"), listener, client;
	char members[256];
	uint64_t id;

	(void)snprintf(members, sizeof(members),
		       "\"action\":\"forward\",\"to\":[\"127.0.0.1:%u\"]%s",
		       port_of(backend), options);
	take_little(backend);
	listener = open_listener("tcp", members, &id);
	client = connect_listener(listener);
	take_little(client);
	*ret_server = accept(backend, NULL, NULL);
	assert_true(*ret_server >= 0);
	set_wait(*ret_server, WAIT_S * 1000);
	(void)close(backend);
	(void)close(listener);
	return client;
}

static void read_some(int fd, size_t size)
{
	assert_int_equal(recv(fd, chunk, size, MSG_WAITALL), size);
}

/* Everything, and each part after longer than half of what a peer has that
 * takes nothing. */
static void read_slowly(int fd)
{
	for (int i = 0; i < SLOW_ROUNDS; i++) {
		(void)usleep(DRAIN_MS * 600);
		read_some(fd, SLOW_BYTES);
	}
	read_some(fd, MUCH - SLOW_ROUNDS * SLOW_BYTES);
}

static void say_much(int fd)
{
	assert_int_equal(send(fd, chunk, MUCH, 0), MUCH);
}

/* It reads its peer's end, and can still speak. */
static void expect_half_close(int fd)
{
	assert_int_equal(recv(fd, chunk, 1, 0), 0);
}

static void test_slow_reader_after_both_ends(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair("", &server);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_half_close(server);
	say_much(server);
	(void)close(server);
	read_slowly(client);
	expect_end(client);
	relay_stop();
}

static void test_who_takes_nothing_is_reset(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair("", &server);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect_half_close(server);
	say_much(server);
	(void)close(server);
	(void)usleep(DRAIN_MS * 3000);
	expect_reset(client);
	relay_stop();
}

/* Nothing passes through the relay meanwhile. @late: who reads late */
static void idle_while_read(bool client_reads)
{
	int server, client;

	relay_start(1, 0);
	client = connect_pair(",\"idle_timeout_ms\":30000", &server);
	say_much(client_reads ? server : client);
	read_slowly(client_reads ? client : server);
	say(client, "ping");
	expect(server, "ping");
	(void)close(client);
	(void)close(server);
	relay_stop();
}

static void test_idle_while_the_client_reads(void **state)
{
	(void)state;
	idle_while_read(/* client_reads= */ true);
}

static void test_idle_while_the_backend_reads(void **state)
{
	(void)state;
	idle_while_read(/* client_reads= */ false);
}

static void test_idle_with_a_client_that_takes_nothing(void **state)
{
	int server, client;

	(void)state;
	relay_start(1, 0);
	client = connect_pair(",\"idle_timeout_ms\":30000", &server);
	say_much(server);
	expect_reset(server);
	expect_reset(client);
	relay_stop();
}

/* SCTP */

#define MESSAGE_BYTES 1000
#define MESSAGES 64 /* all in the relay's send buffer; few in the client's */
#define MESSAGES_A_ROUND (MESSAGES / SLOW_ROUNDS)
#define PATH_MTU 1500

static int sctp_socket(int type)
{
	int fd = socket(AF_INET, type, IPPROTO_SCTP);

	if (fd < 0 && errno == EPROTONOSUPPORT) {
		print_message("SKIP: this kernel has no SCTP; "
			      "`make check-vm` has one\n");
		skip();
	}
	assert_true(fd >= 0);
	set_wait(fd, WAIT_S * 1000);
	return fd;
}

static int sctp_bound(int type)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = sctp_socket(type);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* A client whose kernel takes in little, and tells soon of more room. */
static int sctp_client(int listener)
{
	struct sctp_paddrparams path = {
		.spp_flags = SPP_PMTUD_DISABLE,
		.spp_pathmtu = PATH_MTU,
	};
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(port_of(listener)) };
	int fd = sctp_socket(SOCK_STREAM), size = 8 * MESSAGE_BYTES;

	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS,
				    &path, sizeof(path)),
			 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

struct sctp_pair {
	int listener;
	int backend;
	int other_client; /* of the same listener; it says nothing */
	int other_server;
	int client;
};

/* All is said by the backend, which has ended. */
static struct sctp_pair sctp_said_all(bool shared)
{
	struct sctp_pair pair;
	char members[256];
	int server;

	pair.backend = sctp_bound(SOCK_STREAM);
	pair.listener = sctp_bound(shared ? SOCK_SEQPACKET : SOCK_STREAM);
	assert_int_equal(fcntl(pair.listener, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(stream_set_hard(pair.listener, true), 0);
	(void)snprintf(
		members, sizeof(members),
		"\"action\":\"forward\",\"to\":[\"sctp://127.0.0.1:%u\"]",
		port_of(pair.backend));
	(void)send_listener(++last_id, pair.listener,
			    shared ? "sctp-seqpacket" : "sctp", members);
	pair.other_client = sctp_client(pair.listener);
	pair.other_server = accept_from(pair.backend);
	pair.client = sctp_client(pair.listener);
	server = accept_from(pair.backend);
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(send(server, chunk, MESSAGE_BYTES, 0),
				 MESSAGE_BYTES);
	(void)close(server);
	return pair;
}

static void sctp_pair_close(struct sctp_pair *pair)
{
	(void)close(pair->other_client);
	(void)close(pair->other_server);
	(void)close(pair->listener);
	(void)close(pair->backend);
}

static void sctp_slow_reader(bool shared)
{
	struct sctp_pair pair;

	cleanup_close(&(int){ sctp_socket(SOCK_STREAM) });
	relay_start(1, 0);
	pair = sctp_said_all(shared);
	for (int i = 0; i < MESSAGES; i++) {
		if (i % MESSAGES_A_ROUND == 0)
			(void)usleep(DRAIN_MS * 600);
		read_some(pair.client, MESSAGE_BYTES);
	}
	expect_end(pair.client);
	sctp_pair_close(&pair);
	relay_stop();
}

/* Reads nothing meanwhile. The kernel's probes of the closed window are slower
 * than the relay's time. */
static void wait_abort(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	assert_int_equal(poll(&poll_fd, 1, (int)(DRAIN_MS * 3) + WAIT_S * 1000),
			 1);
}

static void sctp_takes_nothing(bool shared)
{
	struct sctp_pair pair;

	cleanup_close(&(int){ sctp_socket(SOCK_STREAM) });
	relay_start(1, 0);
	pair = sctp_said_all(shared);
	wait_abort(pair.client);
	expect_reset(pair.client);
	sctp_pair_close(&pair);
	relay_stop();
}

static void test_sctp_slow_reader(void **state)
{
	(void)state;
	sctp_slow_reader(/* shared= */ false);
}

static void test_sctp_slow_reader_of_a_shared_socket(void **state)
{
	(void)state;
	sctp_slow_reader(/* shared= */ true);
}

static void test_sctp_who_takes_nothing_is_aborted(void **state)
{
	(void)state;
	sctp_takes_nothing(/* shared= */ false);
}

static void test_sctp_who_takes_nothing_of_a_shared_socket(void **state)
{
	(void)state;
	sctp_takes_nothing(/* shared= */ true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_reader_after_both_ends),
		cmocka_unit_test(test_who_takes_nothing_is_reset),
		cmocka_unit_test(test_idle_while_the_client_reads),
		cmocka_unit_test(test_idle_while_the_backend_reads),
		cmocka_unit_test(test_idle_with_a_client_that_takes_nothing),
		cmocka_unit_test(test_sctp_slow_reader),
		cmocka_unit_test(test_sctp_slow_reader_of_a_shared_socket),
		cmocka_unit_test(test_sctp_who_takes_nothing_is_aborted),
		cmocka_unit_test(
			test_sctp_who_takes_nothing_of_a_shared_socket),
	};
	const char *guard = getenv("BERTH_GUARD");

	if (guard && atoi(guard) > GUARD_S)
		faster = FASTER_WHERE_SLOW;
	began_ns = real_ns();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
