// SPDX-License-Identifier: Apache-2.0
/* test_binder_sockets.c - the sockets of listeners: addresses and options */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "binder_netns_fixture.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static uint64_t cookie_of(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t cookie = 0;

	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), 0);
	return cookie;
}

/* Connects over loopback, from the process's own namespace. */
static int connect_to(const char *text, uint16_t port, int type)
{
	struct sockaddr_storage sa;
	struct ip_addr addr;
	socklen_t len;
	int fd, r;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	len = ip_addr_to_sockaddr(&addr, port, 0, &sa);
	fd = socket(addr.family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	r = connect(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		int v4, v6; /* what connecting over loopback gives */
	} cases[] = {
		{ "any", 0, 0 },
		{ "any4", 0, -ECONNREFUSED },
		{ "any6", -ECONNREFUSED, 0 },
		{ "127.0.0.1", 0, -ECONNREFUSED },
		{ "::1", -ECONNREFUSED, 0 },
	};
	static const enum protocol protocols[] = { PROTOCOL_TCP,
						   PROTOCOL_MPTCP };
	struct fixture *f = *state;
	struct listener *l;

	for (size_t p = 0; p < ARRAY_SIZE(protocols); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			apply_one(f, 1,
				  spec_make(protocols[p], cases[i].address,
					    8080));
			assert_told(f, "+8080");
			l = first(f, 1);
			assert_int_equal(l->state, LISTENER_OPEN);
			assert_null(l->reason);
			assert_int_equal(
				option(l->fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
			assert_int_equal(
				option(l->fd, SOL_SOCKET, SO_REUSEPORT), 0);
			assert_true(fcntl(l->fd, F_GETFL) & O_NONBLOCK);
			assert_true(fcntl(l->fd, F_GETFD) & FD_CLOEXEC);
			assert_int_equal(connect_to("127.0.0.1", 8080,
						    SOCK_STREAM),
					 cases[i].v4);
			assert_int_equal(connect_to("::1", 8080, SOCK_STREAM),
					 cases[i].v6);
			binder_forget(f->binder, 1);
			assert_told(f, "-8080");
		}
	}
}

static void test_bindv6only_of_the_namespace_does_not_matter(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(system("sysctl -qw net.ipv6.bindv6only=1"), 0);
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 8080));
	assert_int_equal(connect_to("127.0.0.1", 8080, SOCK_STREAM), 0);
	assert_int_equal(system("sysctl -qw net.ipv6.bindv6only=0"), 0);
}

static void test_udp(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[] = {
		spec_make(PROTOCOL_UDP, "any", 53),
		spec_make(PROTOCOL_UDP, "127.0.0.1", 54),
	};
	struct listener *l;

	apply(f, 1, specs, 2);
	assert_told(f, "+53 +54");
	l = first(f, 1);
	assert_int_equal(option(l->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO), 1);
	assert_int_equal(option(l->fd, SOL_SOCKET, SO_REUSEADDR), 0);
	assert_int_equal(option(l->fd, SOL_SOCKET, SO_REUSEPORT), 0);
	assert_int_equal(connect_to("127.0.0.1", 53, SOCK_DGRAM), 0);
	l = binder_next_in(f->binder, 1, l);
	assert_int_equal(option(l->fd, IPPROTO_IP, IP_PKTINFO), 1);
}

/* A dual-stack UDP socket says which IPv4 address the client spoke to. */
static void test_udp_pktinfo_tells_ipv4_too(void **state)
{
	struct fixture *f = *state;
	char control[128], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(53) };
	struct in6_pktinfo info;
	struct cmsghdr *cmsg;
	char text[INET6_ADDRSTRLEN];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	apply_one(f, 1, spec_make(PROTOCOL_UDP, "any", 53));
	inet_pton(AF_INET, "127.0.0.9", &sa.sin_addr);
	assert_int_equal(
		sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa)), 1);
	close(fd);
	assert_int_equal(recvmsg(first(f, 1)->fd, &msg, 0), 1);
	cmsg = CMSG_FIRSTHDR(&msg);
	assert_non_null(cmsg);
	assert_int_equal(cmsg->cmsg_type, IPV6_PKTINFO);
	memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
	inet_ntop(AF_INET6, &info.ipi6_addr, text, sizeof(text));
	assert_string_equal(text, "::ffff:127.0.0.9");
}

static void test_born_in_the_namespace(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[] = {
		spec_make(PROTOCOL_TCP, "any", 1),
		spec_make(PROTOCOL_TCP, "any", 2),
		spec_make(PROTOCOL_UDP, "any", 3),
	};
	uint64_t inside, home;
	int fd;

	assert_int_equal(netns_cookie(other_netns_fd, &inside), 0);
	apply(f, 2, specs, 3);
	assert_told(f, "+1 +2 +3");
	assert_int_equal(f->opens, 1); /* entered once for all */
	for (struct listener *l = NULL; (l = binder_next_in(f->binder, 2, l));)
		assert_int_equal(cookie_of(l->fd), inside);
	/* The thread is back. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(netns_cookie(-1, &home), 0);
	assert_int_equal(cookie_of(fd), home);
	assert_int_not_equal(home, inside);
	close(fd);
	/* No setns(2) when there is nothing to make. */
	specs[0] = spec_make(PROTOCOL_TCP, "any", 2);
	apply_one(f, 2, specs[0]);
	assert_told(f, "-1 -3");
	assert_int_equal(f->opens, 1);
}

static struct listener_spec spec_bound(enum protocol protocol, uint32_t ifindex)
{
	struct listener_spec spec = spec_make(protocol, "127.0.0.1", 80);

	spec.service->options.interface_bound = true;
	spec.endpoint.bound_ifindex = ifindex;
	return spec;
}

static void test_interface_bound(void **state)
{
	static const enum protocol protocols[] = { PROTOCOL_TCP, PROTOCOL_UDP };
	struct fixture *f = *state;
	char name[IF_NAMESIZE] = "";
	socklen_t len = sizeof(name);
	struct listener_spec spec;
	uint64_t id;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		apply_one(f, 1, spec_bound(protocols[i], 1));
		assert_told(f, "+80");
		len = sizeof(name);
		assert_int_equal(getsockopt(first(f, 1)->fd, SOL_SOCKET,
					    SO_BINDTODEVICE, name, &len),
				 0);
		assert_string_equal(name, "lo");

		/* Another name is still the same interface. */
		id = first(f, 1)->id;
		spec = spec_bound(protocols[i], 1);
		strcpy(spec.ifname, "other");
		apply_one(f, 1, spec);
		assert_told(f, "~80");
		assert_int_equal(first(f, 1)->id, id);

		/* Another interface is another socket, whatever its name; a
		 * missing one is waited for. */
		spec = spec_bound(protocols[i], 99);
		strcpy(spec.ifname, "other");
		apply_one(f, 1, spec);
		assert_told(f, "-80");
		assert_int_equal(first(f, 1)->error, ENODEV);
		assert_non_null(strstr(first(f, 1)->reason, "interface_bound"));
	}
}

static void test_options(void **state)
{
	static const struct {
		const char *address;
		struct socket_options options;
		int level, name, value;
	} cases[] = {
#define CASE(address, member, set, level, name, value) \
	{ address, { .member = set }, level, name, value }
		CASE("any", mark, 0xfffffffe, SOL_SOCKET, SO_MARK, -2),
		CASE("any", dscp, 46, IPPROTO_IP, IP_TOS, 184),
		CASE("any", dscp, 46, IPPROTO_IPV6, IPV6_TCLASS, 184),
		CASE("any4", dscp, 10, IPPROTO_IP, IP_TOS, 40),
		CASE("any6", dscp, 10, IPPROTO_IPV6, IPV6_TCLASS, 40),
		CASE("any", receive_buffer, 9000000, SOL_SOCKET, SO_RCVBUF,
		     18000000),
		CASE("any", send_buffer, 9000000, SOL_SOCKET, SO_SNDBUF,
		     18000000),
		CASE("any", keepalive_s, 0, SOL_SOCKET, SO_KEEPALIVE, 1),
		CASE("any", keepalive_s, 77, IPPROTO_TCP, TCP_KEEPIDLE, 77),
		CASE("any", fastopen, 5, IPPROTO_TCP, TCP_FASTOPEN, 5),
		CASE("any", transparent, true, IPPROTO_IPV6, IPV6_TRANSPARENT,
		     1),
		CASE("any4", transparent, true, IPPROTO_IP, IP_TRANSPARENT, 1),
#undef CASE
	};
	static const struct socket_options none = SOCKET_OPTIONS_NONE;
	struct fixture *f = *state;
	struct listener_spec spec;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct socket_options *o = &cases[i].options;
		struct socket_options *set;

		spec = spec_make(PROTOCOL_TCP, cases[i].address, 80);
		set = &spec.service->options;
		*set = none;
		/* What the case does not name is zero in its initializer. */
		set->mark = o->mark ? o->mark : none.mark;
		set->dscp = o->dscp ? o->dscp : none.dscp;
		set->receive_buffer = o->receive_buffer ? o->receive_buffer
							: none.receive_buffer;
		set->send_buffer = o->send_buffer ? o->send_buffer
						  : none.send_buffer;
		set->fastopen = o->fastopen ? o->fastopen : none.fastopen;
		set->transparent = o->transparent;
		if (o->keepalive_s || cases[i].name == SO_KEEPALIVE)
			set->keepalive_s = o->keepalive_s;
		apply_one(f, 1, spec);
		assert_told(f, "+80");
		assert_int_equal(option(first(f, 1)->fd, cases[i].level,
					cases[i].name),
				 cases[i].value);
		binder_forget(f->binder, 1);
		assert_told(f, "-80");
	}
}

/* How does a connection end that is accepted now from the only listener? */
static bool accepted_ends_hard(struct fixture *f)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(80) };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
	struct linger linger = { .l_linger = -1 };
	socklen_t len = sizeof(linger);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
	server = accept(first(f, 1)->fd, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(
		getsockopt(server, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	close(server);
	close(client);
	assert_int_equal(linger.l_linger, 0);
	return linger.l_onoff;
}

static void test_connections_end_hard_but_for_handoff(void **state)
{
	static const struct {
		enum service_action action;
		bool hard;
	} cases[] = {
		{ SERVICE_FORWARD, true },
		{ SERVICE_HANDOFF, false },
		{ SERVICE_ECHO, true },
	};
	static const enum protocol protocols[] = { PROTOCOL_TCP,
						   PROTOCOL_MPTCP };
	struct fixture *f = *state;
	struct listener_spec spec;

	/* Born so, and changed while they are open. */
	for (size_t p = 0; p < ARRAY_SIZE(protocols) * 2; p++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			spec = spec_make(protocols[p / 2], "any", 80);
			spec.service->action = cases[i].action;
			apply_one(f, 1, spec);
			assert_int_equal(accepted_ends_hard(f), cases[i].hard);
			if (p % 2 == 0)
				binder_forget(f->binder, 1);
		}
		binder_forget(f->binder, 1);
	}
}

static void test_udp_receive_buffer(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_UDP, "any", 80);

	apply_one(f, 1, spec);
	assert_int_equal(option(first(f, 1)->fd, SOL_SOCKET, SO_RCVBUF),
			 1024 * 1024);
	spec = spec_make(PROTOCOL_UDP, "any", 81);
	spec.service->options.receive_buffer = 10000;
	apply_one(f, 1, spec);
	assert_int_equal(option(first(f, 1)->fd, SOL_SOCKET, SO_RCVBUF), 20000);
}

static void test_defer_accept_and_backlog(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_TCP, "any", 80);
	struct tcp_info info;
	socklen_t len = sizeof(info);

	spec.service->options.defer_accept_s = 3;
	spec.service->options.backlog = 17;
	apply_one(f, 1, spec);
	assert_true(option(first(f, 1)->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) >=
		    3);
	/* Of a listening socket, tcpi_sacked is its backlog. */
	assert_int_equal(getsockopt(first(f, 1)->fd, IPPROTO_TCP, TCP_INFO,
				    &info, &len),
			 0);
	assert_int_equal(info.tcpi_sacked, 17);
}

static void test_failing_option_is_named(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec = spec_make(PROTOCOL_UDP, "any", 80);

	spec.service->options.fastopen = 5;
	apply_one(f, 1, spec);
	assert_told(f, "");
	assert_int_equal(first(f, 1)->state, LISTENER_WAITING);
	assert_non_null(strstr(first(f, 1)->reason, "fastopen"));
	assert_int_equal(first(f, 1)->fd, -1);
	/* The rule is mended. */
	apply_one(f, 1, spec_make(PROTOCOL_UDP, "any", 80));
	assert_told(f, "+80");
	assert_null(first(f, 1)->reason);
}

static void test_missing_address(void **state)
{
	struct fixture patient, *f = &patient;
	struct listener_spec spec;

	(void)state;
	/* Without freebind it waits, and an event has it tried at once. */
	fixture_init(f, 10, 60 * USEC_PER_SEC);
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "192.0.2.7", 80));
	assert_int_equal(first(f, 1)->error, EADDRNOTAVAIL);
	assert_int_equal(system("ip addr add 192.0.2.7/32 dev lo"), 0);
	fixture_tick(f, 40 * USEC_PER_MSEC);
	assert_told(f, "");
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "192.0.2.7", 80));
	assert_told(f, "+80");
	assert_int_equal(system("ip addr del 192.0.2.7/32 dev lo"), 0);

	spec = spec_make(PROTOCOL_TCP, "192.0.2.8", 81);
	spec.freebind = true;
	apply_one(f, 1, spec);
	assert_told(f, "-80 +81");
	spec = spec_make(PROTOCOL_TCP, "2001:db8::8", 81);
	spec.freebind = true;
	apply_one(f, 1, spec);
	assert_told(f, "-81 +81");

	/* Told by the kernel, and not there yet: it does not wait. */
	spec = spec_make(PROTOCOL_TCP, "192.0.2.9", 82);
	spec.observed = true;
	apply_one(f, 1, spec);
	assert_told(f, "-81 +82");
	fixture_done(f);
}

static void test_link_local_needs_its_scope(void **state)
{
	struct fixture *f = *state;
	struct listener_spec spec;

	assert_int_equal(system("ip addr add fe80::7/64 dev lo nodad"), 0);
	spec = spec_make(PROTOCOL_TCP, "fe80::7", 80);
	spec.endpoint.scope_id = if_nametoindex("lo");
	apply_one(f, 1, spec);
	assert_told(f, "+80");
	spec = spec_make(PROTOCOL_TCP, "fe80::7", 81);
	spec.endpoint.scope_id = 4711;
	apply_one(f, 1, spec);
	assert_told(f, "-80");
	assert_int_equal(first(f, 1)->state, LISTENER_WAITING);
	assert_int_equal(system("ip addr del fe80::7/64 dev lo"), 0);
}

static void test_sctp_without_the_kernel(void **state)
{
	struct fixture *f = *state;
	struct listener_spec specs[] = {
		spec_make(PROTOCOL_SCTP, "any", 80),
		spec_make(PROTOCOL_SCTP_SEQPACKET, "any", 81),
		spec_make(PROTOCOL_TCP, "any", 82),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);

	if (fd >= 0) {
		close(fd);
		for (size_t i = 0; i < 3; i++)
			listener_spec_done(&specs[i]);
		skip();
	}
	apply(f, 1, specs, 3);
	assert_told(f, "+82");
	assert_string_equal(first(f, 1)->reason,
			    "this kernel has no SCTP (modprobe sctp)");
	assert_string_equal(binder_next(f->binder, first(f, 1))->reason,
			    "this kernel has no SCTP (modprobe sctp)");
}

static void test_time_wait_does_not_keep_the_port(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(80) };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;

	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)),
			 0);
	conn = accept4(first(f, 1)->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(conn >= 0);
	close(conn); /* first: this side keeps TIME_WAIT */
	close(client);
	binder_forget(f->binder, 1);
	apply_one(f, 1, spec_make(PROTOCOL_TCP, "any", 80));
	assert_told(f, "+80 -80 +80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_addresses),
		TEST(test_bindv6only_of_the_namespace_does_not_matter),
		TEST(test_udp),
		TEST(test_udp_pktinfo_tells_ipv4_too),
		TEST(test_born_in_the_namespace),
		TEST(test_interface_bound),
		TEST(test_options),
		TEST(test_connections_end_hard_but_for_handoff),
		TEST(test_udp_receive_buffer),
		TEST(test_defer_accept_and_backlog),
		TEST(test_failing_option_is_named),
		TEST(test_missing_address),
		TEST(test_link_local_needs_its_scope),
		TEST(test_sctp_without_the_kernel),
		TEST(test_time_wait_does_not_keep_the_port),
	};

	return run_in_namespaces(tests, ARRAY_SIZE(tests),
				 "test_binder_sockets");
}
