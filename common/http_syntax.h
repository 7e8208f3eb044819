/* SPDX-License-Identifier: Apache-2.0 */
/* http_syntax.h - the words of HTTP: names and values of fields, hosts, paths
 *
 * Pure, and shared by berthd, which reads them in rules, and the relay, which
 * reads them in requests, so that the two cannot disagree. RFC 9110 and 9112
 * say what the words look like; what is ambiguous is refused.
 */
#ifndef COMMON_HTTP_SYNTAX_H
#define COMMON_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

/** http_is_token() - a method or the name of a field: at least one character,
 * and only those of a token */
bool http_is_token(const char *text, size_t len);

/** http_hex_digit() - the value of a hexadecimal digit; -1: it is none */
int http_hex_digit(char c);

/** http_is_value() - the value of a field: no control character but the tab;
 * bytes from 0x80 on are let through */
bool http_is_value(const char *text, size_t len);

/**
 * http_name_equal() - might a backend take one name of a field for the other?
 *
 * The case does not count, and characters that are no letters and no digits
 * are all the same, because CGI and WSGI make X_Forwarded_For, and some
 * servers X.Forwarded.For, the same variable as X-Forwarded-For.
 */
bool http_name_equal(const char *a, size_t a_len, const char *b, size_t b_len);

/**
 * http_name_reserved() - is it the name of a field that belongs to the
 * connection or to the framing of the body?
 *
 * The relay decides about these. A rule may neither set nor remove them. Host
 * is none of them: a rule may set it.
 */
bool http_name_reserved(const char *name, size_t len);

/**
 * struct http_host - what a Host field says
 * @name:	into the text; without a dot at the end; an IPv6 address without
 *		its brackets and without its zone
 * @port:	0: none is said
 */
struct http_host {
	const char *name;
	size_t name_len;
	unsigned int port;
};

/**
 * http_host_parse() - a Host field, or the host that a rule allows
 *
 * Letters, digits, ".", "-", "_" and "~", or an IPv6 address in brackets, which
 * may have a zone; then maybe a port. An empty host is none of these.
 */
bool http_host_parse(const char *text, size_t len, struct http_host *ret_host);

/**
 * http_host_allowed() - is the host of a request the one that a rule allows?
 *
 * If @allowed has no port, then each will do. A request that says none means
 * port 80.
 */
bool http_host_allowed(const struct http_host *host,
		       const struct http_host *allowed);

/**
 * http_path_plain() - can a path be compared with a prefix?
 *
 * It begins with a slash and has nothing that servers read in different ways:
 * no empty segment (but at the end), none that is "." or "..", also where
 * parameters or escapes follow the dots, no backslash, and no escape (%xx) of a
 * slash, a backslash, a dot, a percent sign, a control character or of bytes
 * that UTF-8 does not have. A path has no query.
 */
bool http_path_plain(const char *path, size_t len);

/**
 * http_path_under() - is a plain path the prefix, or below it?
 *
 * Whole segments count: "/latest" has "/latest" and "/latest/x" under it, but
 * not "/latest2"; "/latest/" has not even "/latest".
 */
bool http_path_under(const char *path, size_t len, const char *prefix);

#endif
