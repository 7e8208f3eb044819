// SPDX-License-Identifier: Apache-2.0
/* fuzz_udp.c - datagrams, as any kernel might hand them over and take them
 *
 * The input says what recvmmsg(2) brings: sizes, addresses, control messages,
 * which are cut where the room ends, as put_cmsg() of the kernel does; and then
 * what becomes of each attempt to send. Both calls are replaced here. Of the
 * datagrams that were received each is sent at most once, whole, by itself and
 * in order, however they are merged, and what is counted adds up.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"
#include "relay/udp/udp_batch.h"
#include "relay/udp/udp_session.h"
#include "tests/fuzz/input.h"

#define MESSAGE_BYTES_MAX 65507u /* else the kernel refuses it */
#define SEGMENTS_MAX 64u
#define BEFORE_BYTES 28u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum flag {
	FLAG_IPV6 = 1, /* the listening socket's family */
	FLAG_MERGE = 2,
	FLAG_EACH = 4, /* no message has more than one datagram */
	FLAG_BEFORE = 8, /* each begins with a header of ours */
	FLAG_FATAL = 16, /* ECONNREFUSED ends it */
	FLAG_TO_CLIENT = 32, /* who is told where to, and where from */
};

/* The datagram that is sent next, if none is dropped. */
struct place {
	size_t slot;
	size_t offset;
};

static struct {
	unsigned int flags;
	struct place place;
	uint64_t sent;
	uint64_t bytes;
} script;

static struct udp_batch batch;
static uint8_t before_bytes[BEFORE_BYTES];
static const struct iovec before = { before_bytes, sizeof(before_bytes) };

static bool script_has(enum flag flag)
{
	return script.flags & (unsigned int)flag;
}

/* Receiving */

/* Return: the bytes that were used of @room. */
static size_t put_cmsg(uint8_t *to, size_t room, const struct cmsghdr *header,
		       const uint8_t *data, size_t size, int *flags)
{
	struct cmsghdr written = *header;
	size_t space = CMSG_SPACE(size);

	written.cmsg_len = CMSG_LEN(size);
	if (room < written.cmsg_len) {
		*flags |= MSG_CTRUNC;
		written.cmsg_len = room;
	}
	if (room < sizeof(written))
		return 0;
	memcpy(to, &written, sizeof(written));
	memcpy(to + sizeof(written), data, written.cmsg_len - sizeof(written));
	return space < room ? space : room;
}

static size_t put_control(uint8_t *to, size_t room, const uint8_t *from,
			  size_t size, int *flags)
{
	struct cmsghdr header;
	size_t used = 0, len;

	while (size >= sizeof(header)) {
		memcpy(&header, from, sizeof(header));
		from += sizeof(header);
		size -= sizeof(header);
		len = header.cmsg_len < sizeof(header)
			      ? 0
			      : header.cmsg_len - sizeof(header);
		if (len > size)
			len = size;
		used += put_cmsg(to + used, room - used, &header, from, len,
				 flags);
		len = CMSG_ALIGN(len) < size ? CMSG_ALIGN(len) : size;
		from += len;
		size -= len;
	}
	return used;
}

static void receive_one(struct mmsghdr *message)
{
	struct msghdr *header = &message->msg_hdr;
	bool v6 = script_has(FLAG_IPV6);
	union udp_address address;
	uint8_t control[UINT8_MAX];
	uint8_t control_len;
	uint16_t len;

	assert(header->msg_namelen == sizeof(address));
	assert(header->msg_iov->iov_len == UDP_SLOT_BYTES);
	input_take(&len, sizeof(len));
	message->msg_len = len;
	header->msg_flags = input_byte() & 1 ? MSG_TRUNC : 0;
	memset(&address, 0, sizeof(address));
	header->msg_namelen = v6 ? sizeof(address.in6) : sizeof(address.in);
	input_take(&address, header->msg_namelen);
	address.any.sa_family = v6 ? AF_INET6 : AF_INET;
	memcpy(header->msg_name, &address, header->msg_namelen);
	control_len = input_byte();
	input_take(control, control_len);
	header->msg_controllen = put_control(header->msg_control,
					     header->msg_controllen, control,
					     control_len, &header->msg_flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags,
	     struct timespec *timeout)
{
	unsigned int have = input_byte();

	(void)fd;
	(void)flags;
	(void)timeout;
	if (have == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (n > have)
		n = have;
	for (unsigned int i = 0; i < n; i++)
		receive_one(&messages[i]);
	return (int)n;
}

/* Sending */

static size_t datagram_at(const struct place *place)
{
	size_t left = batch.iov[place->slot].iov_len - place->offset;
	size_t segment = batch.slots[place->slot].segment;

	return segment && segment < left ? segment : left;
}

static void place_pass(struct place *place)
{
	place->offset += datagram_at(place);
	if (place->offset < batch.iov[place->slot].iov_len)
		return;
	*place = (struct place){ .slot = place->slot + 1 };
}

/* Is it one datagram that was received, whole, and later than the last? */
static void check_datagram(const uint8_t *data, size_t len, struct place *place)
{
	for (; place->slot < batch.n; place_pass(place)) {
		const uint8_t *slot = batch.iov[place->slot].iov_base;

		if (batch.slots[place->slot].cut ||
		    slot + place->offset != data)
			continue;
		assert(datagram_at(place) == len);
		place_pass(place);
		return;
	}
	assert(!"sent was what is no datagram, or was sent before");
}

/* What the kernel would do with it. Return: 0, or the size of segments. */
static uint16_t check_control(const struct msghdr *header)
{
	struct msghdr copy = *header;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&copy);
	uint16_t segment = 0;
	size_t len = 0;

	assert(!header->msg_control == !header->msg_controllen);
	assert(header->msg_controllen <= sizeof(union udp_control));
	for (; cmsg; cmsg = CMSG_NXTHDR(&copy, cmsg)) {
		len += CMSG_ALIGN(cmsg->cmsg_len);
		assert(segment == 0); /* it is the last one */
		if (cmsg->cmsg_level == IPPROTO_UDP) {
			assert(cmsg->cmsg_type == UDP_SEGMENT);
			assert(cmsg->cmsg_len == CMSG_LEN(sizeof(segment)));
			memcpy(&segment, CMSG_DATA(cmsg), sizeof(segment));
			assert(segment > 0);
			continue;
		}
		assert(script_has(FLAG_TO_CLIENT));
		assert((cmsg->cmsg_level == IPPROTO_IP) !=
		       script_has(FLAG_IPV6));
	}
	assert(len == header->msg_controllen);
	return segment;
}

/* Return: how many datagrams it has. */
static size_t check_message(const struct msghdr *header, struct place *place,
			    size_t *ret_bytes)
{
	size_t segment = check_control(header), n = 0, bytes = 0, i = 0;

	assert(!header->msg_name != script_has(FLAG_TO_CLIENT));
	if (script_has(FLAG_BEFORE)) {
		assert(header->msg_iovlen == 2);
		assert(header->msg_iov[0].iov_base == before_bytes);
		bytes = header->msg_iov[i++].iov_len;
	}
	for (; i < header->msg_iovlen; i++) {
		const uint8_t *data = header->msg_iov[i].iov_base;
		size_t left = header->msg_iov[i].iov_len, len;

		bytes += left;
		do {
			len = segment && segment < left ? segment : left;
			/* Only the last one may be shorter. */
			assert(!segment || len == segment || len == left);
			check_datagram(data, len, place);
			data += len;
			left -= len;
			n++;
		} while (left > 0);
		assert(!segment || i + 1 == header->msg_iovlen ||
		       len == segment);
	}
	assert(n == 1 || segment);
	assert(n == 1 || (script_has(FLAG_MERGE) && !script_has(FLAG_EACH)) ||
	       batch.slots[place->slot - (place->offset == 0)].segment);
	*ret_bytes = bytes;
	return n;
}

static int send_error(size_t n, size_t bytes)
{
	static const int errors[] = {
		0,	     EAGAIN, ECONNREFUSED, EINVAL,     EMSGSIZE, EIO,
		ENETUNREACH, EPERM,  EINTR,	   EOPNOTSUPP, ENOBUFS,
	};
	uint8_t which = input_byte();

	if (bytes > MESSAGE_BYTES_MAX)
		return EMSGSIZE;
	if (n > SEGMENTS_MAX)
		return EINVAL;
	return which < ARRAY_SIZE(errors) ? errors[which] : 0;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
	struct place place = script.place;
	size_t bytes, n = check_message(header, &place, &bytes);

	(void)fd;
	assert(flags & MSG_DONTWAIT);
	errno = send_error(n, bytes);
	if (errno)
		return -1;
	script.place = place;
	script.sent += n;
	script.bytes += bytes;
	return (ssize_t)bytes;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	struct iovec iov = { (void *)bytes, len };
	const struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	return sendmsg(fd, &header, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	ssize_t bytes;
	unsigned int i;

	for (i = 0; i < n; i++) {
		bytes = sendmsg(fd, &messages[i].msg_hdr, flags);
		if (bytes < 0)
			return i > 0 ? (int)i : -1;
		messages[i].msg_len = (unsigned int)bytes;
	}
	return (int)n;
}

/* The relay's part */

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 ||
	       (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* What is sent to a client from where it spoke to would come back the same. */
static void check_key(const struct udp_key *key, const struct msghdr *from)
{
	union udp_control control;
	union udp_address address, local;
	struct udp_key again;
	struct msghdr header = { .msg_name = &address };
	uint32_t overflow = 0;

	header.msg_namelen = udp_key_client(key, &address);
	assert(header.msg_namelen == from->msg_namelen);
	if (key->family == AF_INET) {
		const struct sockaddr_in *in = from->msg_name;

		assert(is_zero(key->client + 4, 12) &&
		       is_zero(key->local + 4, 12));
		assert(key->scope_id == 0 && key->ifindex == 0);
		assert(address.in.sin_port == in->sin_port);
		assert(address.in.sin_addr.s_addr == in->sin_addr.s_addr);
	}
	assert(key->ifindex == 0 ||
	       (key->local[0] == 0xfe && (key->local[1] & 0xc0) == 0x80));
	header.msg_controllen = udp_key_source(key, &control);
	assert(header.msg_controllen <= sizeof(control));
	assert(!header.msg_controllen == is_zero(key->local, 16));
	assert(!udp_key_local(key, 1, &local) == !header.msg_controllen);
	header.msg_control = &control;
	udp_key_received(&again, key->family, &header, &overflow);
	assert(memcmp(key, &again, sizeof(again)) == 0);
	assert(overflow == 0);
}

static enum udp_next decide(struct udp_judge *self, int error)
{
	(void)self;
	return error == ECONNREFUSED ? UDP_NEXT_STOP : UDP_NEXT_DROP;
}

/* Return: how many of slots @first to @end - 1 are neither sent nor counted as
 * dropped, because sending stopped before them. */
static uint64_t send_slots(size_t first, size_t end, const struct udp_key *key,
			   struct udp_outcome *outcome)
{
	struct udp_judge strict = { .decide = decide };
	struct udp_judge *judge = script_has(FLAG_FATAL) ? &strict : NULL;
	struct udp_each each = { .before = NULL };
	union udp_address address;
	size_t stopped;

	if (script_has(FLAG_BEFORE))
		each.before = &before;
	if (script_has(FLAG_EACH)) {
		if (key) {
			each.to.msg_name = &address;
			each.to.msg_namelen = udp_key_client(key, &address);
		}
		stopped = udp_batch_send_each(&batch, -1, first, end, &each,
					      judge, outcome);
	} else {
		udp_batch_compose(&batch, first, end, key,
				  script_has(FLAG_MERGE));
		stopped = udp_batch_send(&batch, -1, 0, batch.n_messages, judge,
					 outcome);
		stopped = stopped < batch.n_messages
				  ? batch.messages[stopped].first
				  : end;
	}
	assert(stopped == end ||
	       (outcome->stopped && outcome->error == ECONNREFUSED));
	return udp_batch_datagrams(&batch, stopped, end);
}

static void check_received(size_t n)
{
	uint32_t overflow = 0;

	for (size_t i = 0; i < n; i++) {
		struct udp_key key;

		assert(batch.iov[i].iov_len <= UDP_SLOT_BYTES);
		assert(!batch.slots[i].segment ||
		       batch.slots[i].segment < batch.iov[i].iov_len);
		udp_key_received(&key,
				 script_has(FLAG_IPV6) ? AF_INET6 : AF_INET,
				 &batch.received[i].msg_hdr, &overflow);
		check_key(&key, &batch.received[i].msg_hdr);
	}
}

static void run(void)
{
	uint16_t family = script_has(FLAG_IPV6) ? AF_INET6 : AF_INET;
	struct udp_outcome outcome = { 0 };
	uint32_t overflow = 0;
	struct udp_key key;
	uint64_t left, dropped = 0;
	int n = 0;

	/* In two parts, as the answers of two sessions. */
	for (int i = 0; i < 2; i++) {
		n = udp_batch_receive(&batch, -1, input_byte() % UDP_BATCH);
		assert(n == -EAGAIN || (n >= 0 && batch.n <= UDP_BATCH));
	}
	if (batch.n == 0)
		return;
	check_received(batch.n);
	udp_key_received(&key, family, &batch.received[0].msg_hdr, &overflow);
	left = send_slots(0, batch.n, script_has(FLAG_TO_CLIENT) ? &key : NULL,
			  &outcome);
	assert(outcome.sent == script.sent);
	assert(outcome.bytes == script.bytes);
	for (size_t i = 0; i < ARRAY_SIZE(outcome.dropped); i++)
		dropped += outcome.dropped[i];
	assert(outcome.sent + dropped + left ==
	       udp_batch_datagrams(&batch, 0, batch.n));
	assert(dropped == 0 || outcome.error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!batch.data)
		assert(udp_batch_init(&batch) == 0);
	memset(&script, 0, sizeof(script));
	input.data = data;
	input.left = size;
	script.flags = input_byte();
	/* Headers are only put before what is sent one by one. */
	if (!script_has(FLAG_EACH))
		script.flags &= ~(unsigned int)FLAG_BEFORE;
	run();
	udp_batch_clear(&batch);
	return 0;
}
