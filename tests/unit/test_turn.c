// SPDX-License-Identifier: Apache-2.0
/* test_turn.c - a namespace that has had its part of a turn is not read from
 *
 * TCP connections are tested with their traffic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/buffer.h"
#include "relay/core/listener.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/serving.h"
#include "relay/udp/udp.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

#define N_BYTES 1000

/* One worker with one listener. */
struct relay {
	struct worker worker;
	struct admission_worker netns_worker;
	struct admission netns;
	struct serving serving;
	struct listener *listener;
	struct share *share;
};

static void relay_init(struct relay *relay, int fd, enum protocol protocol)
{
	*relay = (struct relay){
		.worker = { .scratch = malloc(BUFFER_MAX_BYTES), .turn = 7 },
		.serving = { .action = SERVICE_DISCARD },
	};
	assert_non_null(relay->worker.scratch);
	relay->netns.workers = &relay->netns_worker;
	assert_int_equal(listener_new(1, fd, protocol, &test_about, 1,
				      &relay->listener),
			 0);
	relay->listener->netns = &relay->netns;
	relay->share = &relay->listener->shares[0];
	relay->share->worker = &relay->worker;
	relay->share->serving = &relay->serving;
}

static void relay_done(struct relay *relay)
{
	timers_done(&relay->worker.timers);
	free(relay->worker.scratch);
	relay->listener->netns = NULL; /* of no table */
	(void)listener_free(relay->listener);
}

/* Others of the namespace were read from. */
static void use_up_turn(struct relay *relay)
{
	admission_turn(&relay->netns, 0, relay->worker.turn)->n_bytes =
		ADMISSION_TURN_BYTES;
}

static uint32_t turn_bytes(struct relay *relay)
{
	return admission_turn(&relay->netns, 0, relay->worker.turn)->n_bytes;
}

static void test_sctp(void **state)
{
	static const char data[N_BYTES];
	int from[2], to[2];
	struct sctp_conn conn = { 0 };
	struct relay relay;
	char buffer[2 * N_BYTES];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, from), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, to), 0);
	relay_init(&relay, -1, PROTOCOL_SCTP);
	conn.flow.share = relay.share;
	conn.client = (struct sctp_side){ .fd = to[0],
					  .kind = SCTP_SIDE_STREAM,
					  .writable = true };
	conn.backend = (struct sctp_side){ .fd = from[0],
					   .kind = SCTP_SIDE_STREAM,
					   .readable = true };
	assert_int_equal(write(from[1], data, N_BYTES), N_BYTES);
	use_up_turn(&relay);
	assert_int_equal(sctp_pump(&relay.worker, &conn, &conn.backend,
				   &conn.client),
			 FLOW_AGAIN);
	assert_int_equal(read(to[1], buffer, sizeof(buffer)), -1);
	relay.worker.turn++;
	assert_int_equal(sctp_pump(&relay.worker, &conn, &conn.backend,
				   &conn.client),
			 FLOW_WAITS);
	assert_int_equal(read(to[1], buffer, sizeof(buffer)), N_BYTES);
	assert_int_equal(turn_bytes(&relay), N_BYTES);
	for (int i = 0; i < 2; i++) {
		(void)close(from[i]);
		(void)close(to[i]);
	}
	relay_done(&relay);
}

static int bound_socket(struct sockaddr_in *ret_address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret_address);

	*ret_address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	assert_int_equal(bind(fd, (struct sockaddr *)ret_address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len),
			 0);
	return fd;
}

static void test_udp(void **state)
{
	static const char data[N_BYTES];
	struct sockaddr_in address;
	struct relay relay;
	struct counters *counters;
	int fd = bound_socket(&address);

	(void)state;
	relay_init(&relay, fd, PROTOCOL_UDP);
	assert_int_equal(udp_protocol.open(&relay.worker, relay.share), 0);
	counters = share_counters(relay.share);
	assert_int_equal(sendto(fd, data, N_BYTES, 0,
				(struct sockaddr *)&address, sizeof(address)),
			 N_BYTES);
	use_up_turn(&relay);
	udp_protocol.readable(&relay.worker, &relay.share->poll, 0);
	assert_int_equal(counters->values[COUNTER_MESSAGES_IN], 0);
	relay.worker.turn++;
	udp_protocol.readable(&relay.worker, &relay.share->poll, 0);
	assert_int_equal(counters->values[COUNTER_MESSAGES_IN], 1);
	assert_int_equal(turn_bytes(&relay), N_BYTES);
	udp_protocol.close(&relay.worker, relay.share);
	udp_protocol.forget(&relay.worker);
	(void)close(fd);
	relay_done(&relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sctp),
		cmocka_unit_test(test_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
