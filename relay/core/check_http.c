// SPDX-License-Identifier: Apache-2.0
/* check_http.c - what a check says by HTTP, and the status of the answer */
#include "relay/core/check_http.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/ip.h"
#include "common/util.h"

#define HTTP_PORT 80

/* Each "0" stands for a digit; then comes a blank, or the end of the line. */
static const char pattern[] = "HTTP/1.0 000";

#define STATUS_AT (sizeof("HTTP/1.0 ") - 1)
#define PATTERN_LEN (sizeof(pattern) - 1)

/* Interim answers are those from 100 on, but for 101, after which something
 * else than HTTP would follow. */
#define STATUS_FIRST 100u
#define SWITCHING_PROTOCOLS 101u
#define STATUS_LAST 599u

#define INTERIM_END_LEN 4 /* CR LF CR LF */

/* Headers of checks: in the text one that says nothing of a client, in the
 * binary one the command LOCAL, without addresses. The checksum of the latter
 * is always the same. */
static const char proxy_v1[] = "PROXY UNKNOWN\r\n";
static const char proxy_v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
static const char proxy_v2_crc32c[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\x07"
				      "\x03\0\x04\xa9\xb8\x7e\x8f";

size_t check_proxy_header(enum service_proxy proxy, char *buffer)
{
	static const struct {
		const char *bytes;
		size_t len;
	} headers[] = {
		[SERVICE_PROXY_NONE] = { "", 0 },
		[SERVICE_PROXY_V1] = { proxy_v1, sizeof(proxy_v1) - 1 },
		[SERVICE_PROXY_V2] = { proxy_v2, sizeof(proxy_v2) - 1 },
		[SERVICE_PROXY_V2_CRC32C] = { proxy_v2_crc32c,
					      sizeof(proxy_v2_crc32c) - 1 },
	};

	memcpy(buffer, headers[proxy].bytes, headers[proxy].len);
	return headers[proxy].len;
}

/* The Host field that a backend's address makes. A zone is this host's own. */
static void host_fmt(const struct sockaddr_storage *backend, char *buffer,
		     size_t size)
{
	char addr[IP_TEXT_MAX], port_text[sizeof(":65535")] = "";
	struct ip_addr ip;
	uint16_t port;
	bool v6;

	if (ip_addr_from_sockaddr(backend, &ip, &port) < 0) {
		(void)snprintf(buffer, size, "localhost"); /* a UNIX socket */
		return;
	}
	v6 = ip.family == AF_INET6;
	if (port != HTTP_PORT)
		(void)snprintf(port_text, sizeof(port_text), ":%u", port);
	(void)snprintf(buffer, size, "%s%s%s%s", v6 ? "[" : "",
		       ip_addr_fmt(&ip, addr), v6 ? "]" : "", port_text);
}

size_t check_http_request(const struct service_check *check,
			  enum service_proxy proxy,
			  const struct sockaddr_storage *backend, char *buffer)
{
	char host[IP_TEXT_MAX + sizeof("[]:65535")];
	size_t len = check_proxy_header(proxy, buffer);

	host_fmt(backend, host, sizeof(host));
	/* It fits: both texts have at most SERVICE_CHECK_TEXT_MAX bytes. */
	return len +
	       (size_t)snprintf(buffer + len, CHECK_HTTP_REQUEST_MAX - len,
				"GET %s HTTP/1.1\r\n"
				"Host: %s\r\n"
				"User-Agent: berth-relay\r\n"
				"Accept: */*\r\n"
				"Connection: close\r\n\r\n",
				check->http_path,
				check->http_host ? check->http_host : host);
}

/* Skips a byte of an interim answer, whose first line was read. */
static enum check_http_verdict skip(struct check_http *http, char c)
{
	bool odd = http->end % 2;

	if (c == '\n' && odd)
		http->end++;
	else if (c == '\r')
		http->end = odd ? 1 : http->end + 1;
	else
		http->end = 0;
	if (++http->n_interim > CHECK_HTTP_INTERIM_MAX)
		return CHECK_HTTP_BROKEN;
	if (http->end < INTERIM_END_LEN)
		return CHECK_HTTP_MORE;
	http->interim = false;
	http->at = 0;
	http->status = 0;
	return CHECK_HTTP_MORE;
}

/* The status is whole, and @c follows it. */
static enum check_http_verdict judge(struct check_http *http, char c)
{
	if ((c != ' ' && c != '\r') || http->status < STATUS_FIRST ||
	    http->status > STATUS_LAST)
		return CHECK_HTTP_BROKEN;
	if (http->status >= SERVICE_STATUS_MIN ||
	    http->status == SWITCHING_PROTOCOLS)
		return CHECK_HTTP_STATUS;
	http->interim = true;
	http->end = c == '\r';
	return CHECK_HTTP_MORE;
}

static enum check_http_verdict read_byte(struct check_http *http, char c)
{
	bool digit = c >= '0' && c <= '9';

	if (http->interim)
		return skip(http, c);
	if (http->at == PATTERN_LEN)
		return judge(http, c);
	if (pattern[http->at] == '0' ? !digit : c != pattern[http->at])
		return CHECK_HTTP_BROKEN;
	if (http->at++ >= STATUS_AT)
		http->status = http->status * 10 + (unsigned int)(c - '0');
	return CHECK_HTTP_MORE;
}

enum check_http_verdict check_http_read(struct check_http *http,
					const char *data, size_t len)
{
	enum check_http_verdict verdict = CHECK_HTTP_MORE;

	for (size_t i = 0; i < len && verdict == CHECK_HTTP_MORE; i++)
		verdict = read_byte(http, data[i]);
	return verdict;
}
