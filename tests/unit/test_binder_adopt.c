// SPDX-License-Identifier: Apache-2.0
/* test_binder_adopt.c - listeners that a consumer hands back to a new binder */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "binder_netns_fixture.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static uint64_t cookie_of(int fd, int name)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, name, &cookie, &len), 0);
	return cookie;
}

/* The process's own namespace; where every netns of the fixture but 2 is. */
static uint64_t own_netns(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t id = cookie_of(fd, SO_NETNS_COOKIE);

	close(fd);
	return id;
}

/**
 * struct held - what a consumer has of a listener
 * @fd:		its copy of the socket
 */
struct held {
	struct handed_back back;
	int fd;
};

/* The kernel alone knows all of it, but for `any`. */
static void assert_described(const struct held *held)
{
	struct endpoint expected = held->back.claim.endpoint;
	struct adopt_claim claim;

	assert_int_equal(adopt_describe(held->fd, &claim), 0);
	if (expected.family == AF_UNSPEC)
		claim.endpoint.family = AF_UNSPEC;
	assert_int_equal(claim.id, held->back.claim.id);
	assert_int_equal(claim.netns_id, own_netns());
	assert_memory_equal(&claim.endpoint, &expected, sizeof(expected));
}

/* Ends the binder, of whose only listener the consumer has a copy. */
static struct held restart(struct fixture *f)
{
	struct listener *l = binder_next(f->binder, NULL);
	struct held held = {
		.back.claim.id = l->id,
		.back.claim.netns_id = l->netns_id,
		.back.claim.endpoint = l->endpoint,
		.back.consumer = "relay",
		.fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0),
	};
	int netns_fd = f->netns_fd;

	assert_true(held.fd >= 0);
	held.back.claim.endpoint.bound_ifindex = 0;
	assert_described(&held);
	fixture_done(f);
	fixture_init(f, 1000, FIXTURE_RETRY_MIN_US);
	f->netns_fd = netns_fd;
	f->awaits = true;
	return held;
}

static int hand_back(struct fixture *f, struct held *held)
{
	const char *reason = NULL;
	int fd = fcntl(held->fd, F_DUPFD_CLOEXEC, 0);
	int r = binder_hand_back(f->binder, &held->back, fd, &reason);

	if (r < 0)
		assert_non_null(reason);
	/* Taken: it is the listener's, or closed, by another process if need
	 * be. */
	while (r != 0 && fcntl(fd, F_GETFD) >= 0)
		(void)usleep(100);
	return r;
}

static int connect_loopback(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static void test_id_is_the_sockets_cookie(void **state)
{
	struct fixture *f = *state;
	struct listener *l;

	apply_one(f, own_netns(), spec_make(PROTOCOL_TCP, "any", 80));
	l = first(f, own_netns());
	assert_int_equal(l->id, cookie_of(l->fd, SO_COOKIE));
	assert_ptr_equal(binder_find(f->binder, l->id), l);
}

static void test_adopted(void **state)
{
	static const struct {
		enum protocol protocol;
		const char *address;
	} cases[] = {
		{ PROTOCOL_TCP, "any" },       { PROTOCOL_TCP, "any4" },
		{ PROTOCOL_TCP, "any6" },      { PROTOCOL_TCP, "127.0.0.1" },
		{ PROTOCOL_TCP, "::1" },       { PROTOCOL_UDP, "any" },
		{ PROTOCOL_UDP, "127.0.0.1" }, { PROTOCOL_MPTCP, "any" },
		{ PROTOCOL_MPTCP, "any4" },
	};
	struct fixture *f = *state;
	struct listener_spec spec;
	struct listener *l;
	struct held held;
	uint64_t netns_id = own_netns();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		apply_one(f, netns_id,
			  spec_make(cases[i].protocol, cases[i].address, 80));
		held = restart(f);
		/* Nor is it closed because it is too early to open it. */
		spec = spec_make(cases[i].protocol, cases[i].address, 80);
		spec.not_before_us = UINT64_MAX / 2;
		apply_one(f, netns_id, spec);
		assert_told(f, "");
		assert_int_equal(f->opens, 0);
		assert_int_equal(hand_back(f, &held), 0);
		assert_told(f, "+80");
		l = first(f, netns_id);
		assert_int_equal(l->state, LISTENER_OPEN);
		assert_null(l->reason);
		assert_int_equal(l->id, held.back.claim.id);
		assert_int_equal(l->id, cookie_of(l->fd, SO_COOKIE));
		assert_ptr_equal(binder_find(f->binder, l->id), l);
		assert_int_equal(f->opens, 0);
		assert_int_equal(hand_back(f, &held), 1); /* it has it */
		binder_forget(f->binder, netns_id);
		assert_told(f, "-80");
		close(held.fd);
		f->awaits = false;
	}
}

/* Whoever had the socket before may still have it, also if it was not given it
 * by this binder. */
static void test_adopted_is_passed_on_to_nobody(void **state)
{
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct listener_spec spec;
	struct held held;

	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	held = restart(f);
	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	assert_int_equal(hand_back(f, &held), 0);
	assert_told(f, "+80");
	close(held.fd);
	f->given = false;
	f->awaits = false;
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	free(spec.service->consumer);
	spec.service->consumer = strdup("other");
	apply_one(f, netns_id, spec);
	assert_told(f, "-80 +80");
}

static void test_backlog_is_kept(void **state)
{
	struct fixture *f = *state;
	struct held held;
	uint64_t netns_id = own_netns();
	int client_fd, fd;

	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	held = restart(f);
	client_fd = connect_loopback(80);
	assert_true(client_fd >= 0);
	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	assert_int_equal(hand_back(f, &held), 0);
	fd = accept4(first(f, netns_id)->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	close(client_fd);
	close(held.fd);
}

/* Rules were edited while nobody was there to follow. */
static void test_other_options(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", 80);
	struct held held;
	uint64_t netns_id = own_netns();
	int fd;

	spec.service->options.mark = 7;
	spec.service->options.dscp = 10;
	spec.service->options.keepalive_s = 60;
	spec.service->options.defer_accept_s = 3;
	spec.service->options.transparent = true;
	spec.service->options.receive_buffer = 30000;
	spec.service->action = SERVICE_ECHO;
	apply_one(f, netns_id, spec);
	held = restart(f);
	/* Not that a consumer should. */
	assert_int_equal(fcntl(held.fd, F_SETFL, 0), 0);
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.service->options.backlog = 5;
	spec.service->action = SERVICE_HANDOFF;
	apply_one(f, netns_id, spec);
	assert_int_equal(hand_back(f, &held), 0);
	fd = first(f, netns_id)->fd;
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), 0);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_TCLASS), 0);
	assert_int_equal(option(fd, IPPROTO_IP, IP_TOS), 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT), 0);
	close(held.fd);

	held = restart(f);
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.service->options.mark = 9;
	spec.service->options.dscp = 20;
	apply_one(f, netns_id, spec);
	assert_int_equal(hand_back(f, &held), 0);
	fd = first(f, netns_id)->fd;
	assert_int_equal(option(fd, SOL_SOCKET, SO_MARK), 9);
	assert_int_equal(option(fd, IPPROTO_IPV6, IPV6_TCLASS), 80);
	close(held.fd);
}

/* Each claim that is not true is refused, and the true one still adopted. */
static void test_false_claims(void **state)
{
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct held held, bad;
	int pair[2], client_fd, fd;

	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "127.0.0.1", 80));
	held = restart(f);
	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "127.0.0.1", 80));

	bad = held;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	bad.fd = pair[0];
	assert_int_equal(adopt_describe(pair[0], &bad.back.claim), -EINVAL);
	assert_int_equal(hand_back(f, &bad), -EPERM);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	bad.fd = pair[0];
	assert_int_equal(adopt_describe(pair[0], &bad.back.claim), -EINVAL);
	assert_int_equal(hand_back(f, &bad), -EPERM);
	close(pair[0]);
	close(pair[1]);

	bad = held;
	bad.back.claim.id++;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad = held;
	bad.back.claim.netns_id++;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad = held;
	bad.back.claim.endpoint.port++;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad = held;
	bad.back.claim.endpoint.protocol = PROTOCOL_MPTCP;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad.back.claim.endpoint.protocol = PROTOCOL_UDP;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad = held;
	bad.back.claim.endpoint.family = AF_UNSPEC;
	memset(bad.back.claim.endpoint.addr, 0, 16);
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad.back.claim.endpoint.family = AF_INET6;
	assert_int_equal(hand_back(f, &bad), -EPERM);
	bad = held;
	bad.back.consumer = "thief";
	assert_int_equal(hand_back(f, &bad), -EPERM);

	/* One that was accepted has the same address and port. */
	client_fd = connect_loopback(80);
	assert_true(client_fd >= 0);
	fd = accept4(held.fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	bad = held;
	bad.fd = fd;
	bad.back.claim.id = cookie_of(fd, SO_COOKIE);
	assert_int_equal(hand_back(f, &bad), -EPERM);
	close(fd);
	close(client_fd);

	assert_told(f, "");
	assert_int_equal(hand_back(f, &held), 0);
	assert_told(f, "+80");
	close(held.fd);
}

/* A UDP socket that hears one peer only is no listener. */
static void test_connected_udp(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct held held;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	apply_one(f, netns_id, spec_make(PROTOCOL_UDP, "127.0.0.1", 80));
	held = restart(f);
	apply_one(f, netns_id, spec_make(PROTOCOL_UDP, "127.0.0.1", 80));
	assert_int_equal(connect(held.fd, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
	assert_int_equal(hand_back(f, &held), -EPERM);
	close(held.fd);
}

static void test_interface(void **state)
{
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "127.0.0.1", 80);
	struct held held;

	spec.endpoint.bound_ifindex = if_nametoindex("lo");
	spec.service->options.interface_bound = true;
	apply_one(f, netns_id, spec);
	held = restart(f);
	/* The rule is edited: it is no longer bound to the interface. */
	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "127.0.0.1", 80));
	assert_int_equal(hand_back(f, &held), -ENOENT);
	spec = spec_make(PROTOCOL_TCP, "127.0.0.1", 80);
	spec.endpoint.bound_ifindex = if_nametoindex("lo");
	spec.service->options.interface_bound = true;
	apply_one(f, netns_id, spec);
	held.back.claim.endpoint.bound_ifindex = 0;
	assert_int_equal(hand_back(f, &held), 0);
	close(held.fd);
}

static bool none_awaited(struct fixture *f)
{
	struct binder_stats stats;

	binder_get_stats(f->binder, &stats);
	return stats.awaited == 0;
}

static void test_not_wanted_any_more(void **state)
{
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct listener_spec spec;
	struct held held;

	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	held = restart(f);
	assert_int_equal(hand_back(f, &held), -ENOENT);
	spec = spec_make(PROTOCOL_TCP, "any", 80);
	spec.refusal = "not yet";
	apply_one(f, netns_id, spec);
	assert_int_equal(hand_back(f, &held), -ENOENT);
	/* Opened anew meanwhile. */
	close(held.fd);
	f->awaits = false;
	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	assert_told(f, "+80");
	held.fd = fcntl(first(f, netns_id)->fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(hand_back(f, &held), -EPERM);
	close(held.fd);
}

/* What is not handed back is opened when nobody is awaited any more. */
static void test_awaited(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[2];
	struct binder_stats stats;

	f->awaits = true;
	specs[0] = spec_make(PROTOCOL_TCP, "any", 80);
	specs[1] = spec_make(PROTOCOL_TCP, "any", 81);
	apply(f, 1, specs, 2);
	assert_int_equal(first(f, 1)->state, LISTENER_WAITING);
	assert_non_null(strstr(first(f, 1)->reason, "waited for"));
	binder_get_stats(f->binder, &stats);
	assert_int_equal(stats.awaited, 2);
	assert_int_equal(stats.failed, 0);
	fixture_tick(f, USEC_PER_SEC);
	assert_int_equal(f->opens, 0);
	binder_await_end(f->binder); /* still awaited */
	fixture_tick(f, USEC_PER_SEC);
	assert_int_equal(f->opens, 0);
	f->awaits = false;
	binder_await_end(f->binder);
	assert_true(fixture_run(f, USEC_PER_SEC, none_awaited));
	assert_told(f, "+80 +81");
	binder_forget(f->binder, 1);

	/* Rows that go while they are awaited are not counted any more. */
	f->awaits = true;
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	binder_forget(f->binder, 1);
	assert_true(none_awaited(f));
}

static void test_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t netns_id = own_netns();
	struct listener_spec specs[2];
	struct held held;

	apply_one(f, netns_id, spec_make(PROTOCOL_TCP, "any", 80));
	held = restart(f);
	fixture_done(f);
	fixture_init(f, 1, FIXTURE_RETRY_MIN_US);
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 81));
	f->awaits = true;
	specs[0] = spec_make(PROTOCOL_TCP, "any", 80);
	apply(f, netns_id, specs, 1);
	assert_int_equal(hand_back(f, &held), -EMFILE);
	close(held.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_id_is_the_sockets_cookie),
		TEST(test_adopted),
		TEST(test_adopted_is_passed_on_to_nobody),
		TEST(test_backlog_is_kept),
		TEST(test_other_options),
		TEST(test_false_claims),
		TEST(test_connected_udp),
		TEST(test_interface),
		TEST(test_not_wanted_any_more),
		TEST(test_awaited),
		TEST(test_limit),
	};

	return run_in_namespaces(tests, ARRAY_SIZE(tests), "test_binder_adopt");
}
