// SPDX-License-Identifier: Apache-2.0
/* tcp_introduce.c - what a backend is told of a client before all else: the
 * PROXY protocol's header */
#include "relay/tcp/tcp_internal.h"

#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/backend/proxy_header.h"
#include "relay/core/serving.h"
#include "relay/core/worker.h"

ssize_t tcp_proxy_header(const struct conn *conn, const struct serving *serving,
			 uint8_t *buffer, size_t size)
{
	struct sockaddr_storage src, dst;
	socklen_t src_len = sizeof(src), dst_len = sizeof(dst);
	const struct proxy_info info = {
		.transport = SOCK_STREAM,
		.src = (struct sockaddr *)&src,
		.dst = (struct sockaddr *)&dst,
		.netns = serving->netns_name,
		.tlvs = serving->tlvs,
		.n_tlvs = serving->n_tlvs,
		.crc32c = serving->proxy == SERVICE_PROXY_V2_CRC32C,
	};

	if (!serving->proxy)
		return 0;
	if (getpeername(conn->client.fd, (struct sockaddr *)&src, &src_len) <
		    0 ||
	    getsockname(conn->client.fd, (struct sockaddr *)&dst, &dst_len) < 0)
		return -errno;
	return (ssize_t)(serving->proxy == SERVICE_PROXY_V1
				 ? proxy_header_v1(&info, buffer, size)
				 : proxy_header_v2(&info, buffer, size));
}

int tcp_introduce(struct worker *worker, struct conn *conn)
{
	uint8_t header[PROXY_HEADER_MAX];
	ssize_t len;

	if (!conn->flow.serving->proxy)
		return 0;
	len = tcp_proxy_header(conn, conn->flow.serving, header,
			       sizeof(header));
	if (len < 0)
		return (int)len;
	return tcp_keep(worker, conn, &conn->client, header, (size_t)len);
}

/* The old header and what the client said after it are kept in one buffer, as
 * no backend took any of it. The new header replaces the old one. */
int tcp_introduce_anew(struct worker *worker, struct conn *conn,
		       const struct serving *old)
{
	uint8_t before[PROXY_HEADER_MAX];
	struct buffer *rest = conn->client.rest;
	ssize_t old_len = tcp_proxy_header(conn, old, before, sizeof(before));
	ssize_t len = tcp_proxy_header(conn, conn->flow.serving,
				       worker->scratch, BUFFER_MAX_BYTES);
	size_t n = rest ? rest->end - rest->begin : 0;

	if (old_len < 0 || len < 0)
		return (int)(old_len < 0 ? old_len : len);
	if (n < (size_t)old_len)
		return -EPROTO;
	n -= (size_t)old_len;
	if ((size_t)len + n > BUFFER_MAX_BYTES)
		return -ENOBUFS;
	if (n > 0)
		memcpy(worker->scratch + len,
		       rest->data + rest->begin + old_len, n);
	tcp_drop(worker, conn, &conn->client);
	n += (size_t)len;
	return n > 0 ? tcp_keep(worker, conn, &conn->client, worker->scratch, n)
		     : 0;
}
