// SPDX-License-Identifier: Apache-2.0
/* udp_front.c - what a listening UDP socket sends */
#include "relay/udp/udp_front.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "relay/core/own_sockets.h"
#include "relay/core/worker.h"
#include "relay/udp/udp_answers.h"
#include "relay/udp/udp_socket.h"

/* Can the socket send from addresses that the namespace does not have? */
static bool sends_from_anywhere(int fd)
{
	int freebind = 0, transparent = 0;
	socklen_t len = sizeof(int);

	(void)getsockopt(fd, IPPROTO_IP, IP_FREEBIND, &freebind, &len);
	len = sizeof(int);
	(void)getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &transparent, &len);
	return freebind || transparent;
}

bool udp_front_is_own(const struct udp_front *front, const struct udp_key *key)
{
	struct udp_key forged = *key;
	int fd = front->share->listener->fd;
	union udp_address address;
	union udp_control control;
	struct msghdr header = { .msg_name = &address };

	if (key->port != front->own.in.sin_port)
		return false;
	if (memcmp(key->client, key->local, sizeof(key->client)) == 0)
		return true;
	if (sends_from_anywhere(fd))
		return false;
	/* Only the kernel knows whether the client's address is one of the
	 * namespace's. It is asked to send from there; with this flag it only
	 * tells whether it would. */
	memcpy(forged.local, key->client, sizeof(forged.local));
	forged.ifindex = key->scope_id;
	header.msg_namelen = udp_key_client(key, &address);
	header.msg_control = &control;
	header.msg_controllen = udp_key_source(&forged, &control);
	return sendmsg(fd, &header, MSG_PROBE | MSG_DONTWAIT) >= 0;
}

void udp_front_answers(const struct worker *worker,
		       const struct udp_front *front, const struct udp_key *key)
{
	if (own_port(PROTOCOL_UDP, ntohs(key->port)))
		udp_answers_note(front->share->listener, key, worker->now_us);
}

void udp_front_dropped(const struct udp_front *front, enum berth_drop why,
		       uint64_t n)
{
	counters_dropped(udp_front_counters(front), why, n);
}

uint64_t udp_front_count_drops(const struct udp_front *front,
			       const struct udp_outcome *outcome)
{
	uint64_t n = 0;

	if (!outcome->error)
		return 0;
	for (size_t i = 0; i < BERTH_DROPS; i++) {
		udp_front_dropped(front, (enum berth_drop)i,
				  outcome->dropped[i]);
		n += outcome->dropped[i];
	}
	return n;
}

void udp_front_count_sent(struct worker *worker, struct udp_front *front,
			  const struct udp_outcome *outcome)
{
	struct counters *counters = udp_front_counters(front);

	if (outcome->sent > 0) {
		counters_add(counters, COUNTER_MESSAGES_OUT, outcome->sent);
		counters_add(counters, COUNTER_BYTES_OUT, outcome->bytes);
	}
	if (udp_front_count_drops(front, outcome) > 0 &&
	    outcome->error != EAGAIN &&
	    worker_may_log(worker, front->share->listener, NULL))
		log_warning_errno(outcome->error,
				  "%s: cannot answer; dropping datagrams",
				  front->share->listener->label);
}
