// SPDX-License-Identifier: Apache-2.0
/* http_syntax.c - the words of HTTP: names and values of fields, hosts, paths
 */
#include "common/http_syntax.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/util.h"

#define PORT_DEFAULT 80u
#define PORT_MAX 65535u

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* strchr() alone would find the end of @set, too. */
static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

bool http_is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(text[i]) &&
		    !is_one_of(text[i], "!#$%&'*+-.^_`|~"))
			return false;
	}
	return len > 0;
}

bool http_is_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool http_name_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++) {
		if (is_alnum(a[i]) != is_alnum(b[i]) ||
		    (is_alnum(a[i]) && lower(a[i]) != lower(b[i])))
			return false;
	}
	return true;
}

bool http_name_reserved(const char *name, size_t len)
{
	static const char *const reserved[] = {
		"Connection",	    "Content-Length",
		"Expect",	    "HTTP2-Settings",
		"Keep-Alive",	    "Proxy-Authorization",
		"Proxy-Connection", "TE",
		"Trailer",	    "Transfer-Encoding",
		"Upgrade",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (http_name_equal(name, len, reserved[i],
				    strlen(reserved[i])))
			return true;
	}
	return false;
}

/* Hosts */

static bool parse_port(const char *text, size_t len, unsigned int *ret_port)
{
	unsigned int port = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
		if (port > PORT_MAX)
			return false;
	}
	*ret_port = port;
	return len == 0 || port > 0;
}

static bool is_host_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && !is_one_of(text[i], "-._~"))
			return false;
	}
	return len > 0;
}

static bool to_ipv6(const char *text, size_t len, struct in6_addr *ret_addr)
{
	char copy[INET6_ADDRSTRLEN];

	if (len >= sizeof(copy) || memchr(text, '\0', len))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return inet_pton(AF_INET6, copy, ret_addr) == 1;
}

/* "fe80::1", "fe80::1%eth0", "fe80::1%25eth0": what is between brackets.
 * Return: the length of the address, 0 if it is none. */
static size_t ipv6_len(const char *text, size_t len)
{
	const char *percent = memchr(text, '%', len);
	size_t addr_len = percent ? (size_t)(percent - text) : len;
	struct in6_addr addr;

	if (!to_ipv6(text, addr_len, &addr))
		return 0;
	if (!percent)
		return addr_len;
	percent++;
	len -= addr_len + 1;
	if (len > 2 && memcmp(percent, "25", 2) == 0) {
		percent += 2;
		len -= 2;
	}
	return is_host_name(percent, len) ? addr_len : 0;
}

bool http_host_parse(const char *text, size_t len, struct http_host *ret_host)
{
	struct http_host host = { .name = text };
	const char *end, *colon;

	if (len > 0 && text[0] == '[') {
		end = memchr(text, ']', len);
		if (!end)
			return false;
		host.name = text + 1;
		host.name_len = ipv6_len(host.name, (size_t)(end - host.name));
		if (host.name_len == 0)
			return false;
		end++;
	} else {
		colon = memchr(text, ':', len);
		end = colon ? colon : text + len;
		host.name_len = (size_t)(end - text);
		if (host.name_len > 0 && end[-1] == '.')
			host.name_len--;
		if (!is_host_name(text, host.name_len))
			return false;
	}
	len -= (size_t)(end - text);
	if (len > 0 &&
	    (end[0] != ':' || !parse_port(end + 1, len - 1, &host.port)))
		return false;
	*ret_host = host;
	return true;
}

static bool same_name(const struct http_host *a, const struct http_host *b)
{
	struct in6_addr a_addr, b_addr;

	if (a->name_len == b->name_len &&
	    strncasecmp(a->name, b->name, a->name_len) == 0)
		return true;
	return to_ipv6(a->name, a->name_len, &a_addr) &&
	       to_ipv6(b->name, b->name_len, &b_addr) &&
	       memcmp(&a_addr, &b_addr, sizeof(a_addr)) == 0;
}

bool http_host_allowed(const struct http_host *host,
		       const struct http_host *allowed)
{
	unsigned int port = host->port ? host->port : PORT_DEFAULT;

	return same_name(host, allowed) &&
	       (allowed->port == 0 || allowed->port == port);
}

/* Paths */

int http_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* May this byte be there as an escape? */
static bool is_plain_escape(unsigned int byte)
{
	return byte >= ' ' && byte != 0x7f && byte != 0xc0 && byte != 0xc1 &&
	       byte < 0xf5 && (byte >= 0x80 || !is_one_of((char)byte, "/\\.%"));
}

static bool is_plain_segment(const char *segment, size_t len)
{
	size_t dots = 0;

	while (dots < len && segment[dots] == '.')
		dots++;
	if ((dots == 1 || dots == 2) &&
	    (dots == len || is_one_of(segment[dots], ";%")))
		return false;
	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (segment[i] == '\\')
			return false;
		if (segment[i] != '%')
			continue;
		if (len - i < 3)
			return false;
		high = http_hex_digit(segment[i + 1]);
		low = http_hex_digit(segment[i + 2]);
		if (high < 0 || low < 0 ||
		    !is_plain_escape((unsigned int)(high * 16 + low)))
			return false;
	}
	return true;
}

bool http_path_plain(const char *path, size_t len)
{
	if (len == 0 || path[0] != '/')
		return false;
	while (len > 0) {
		const char *segment = path + 1, *slash;
		size_t segment_len;

		len--;
		slash = memchr(segment, '/', len);
		segment_len = slash ? (size_t)(slash - segment) : len;
		if ((slash && segment_len == 0) ||
		    !is_plain_segment(segment, segment_len))
			return false;
		path = segment + segment_len;
		len -= segment_len;
	}
	return true;
}

bool http_path_under(const char *path, size_t len, const char *prefix)
{
	size_t prefix_len = strlen(prefix);

	if (prefix_len == 0 || prefix_len > len ||
	    memcmp(path, prefix, prefix_len) != 0)
		return false;
	return prefix_len == len || prefix[prefix_len - 1] == '/' ||
	       path[prefix_len] == '/';
}
