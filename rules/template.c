// SPDX-License-Identifier: Apache-2.0
/* template.c - ${namespace} and its like in a backend
 *
 * The values are names that a container's owner chose, and the result is a
 * path or an address that a process on the host connects to. A value that
 * could lead out of its directory is refused, never altered.
 */
#include "rules/template.h"

#include <stdbool.h>
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "rules/suggest.h"

static const char *const template_names[] = { "namespace", "interface",
					      "address", "port" };

/* The bit of a name of @len bytes, or 0. */
static int template_use_parse(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(template_names); i++) {
		if (strlen(template_names[i]) == len &&
		    memcmp(template_names[i], name, len) == 0)
			return 1 << i;
	}
	return 0;
}

static int unknown_name(const char *name, size_t len, char *problem)
{
	char found[32];
	const char *near;

	(void)snprintf(found, sizeof(found), "%.*s", (int)len, name);
	near = suggest(found, template_names, ARRAY_SIZE(template_names));
	if (near)
		(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
			       "unknown name ${%s}; did you mean ${%s}?", found,
			       near);
	else
		(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
			       "unknown name ${%s}, expected ${namespace}, "
			       "${interface}, ${address} or ${port}",
			       found);
	return -EINVAL;
}

int template_check(const char *text, char *problem)
{
	const char *begin = text, *end;
	int uses = 0, use;

	while ((begin = strstr(begin, "${"))) {
		begin += 2;
		end = strchr(begin, '}');
		if (!end) {
			(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
				       "\"${\" without \"}\"");
			return -EINVAL;
		}
		use = template_use_parse(begin, (size_t)(end - begin));
		if (!use)
			return unknown_name(begin, (size_t)(end - begin),
					    problem);
		uses |= use;
		begin = end + 1;
	}
	return uses;
}

/* Does a path with this name in it stay in the directory that the rule says? */
static bool name_is_safe(const char *name)
{
	return *name && strcmp(name, ".") != 0 && !strchr(name, '/') &&
	       !strstr(name, "..");
}

/* Writes the value that one ${name} stands for. */
static int value_fmt(int use, const struct template_values *values,
		     bool brackets, char *buffer, size_t size)
{
	const char *name = use == TEMPLATE_NAMESPACE ? values->namespace
						     : values->ifname;
	char addr[IP_TEXT_MAX];
	int n;

	if (use == TEMPLATE_PORT)
		n = snprintf(buffer, size, "%u", values->port);
	else if (use == TEMPLATE_ADDRESS)
		n = snprintf(buffer, size, "%s%s%s", brackets ? "[" : "",
			     ip_addr_fmt(&values->addr, addr),
			     brackets ? "]" : "");
	else if (name_is_safe(name))
		n = snprintf(buffer, size, "%s", name);
	else
		return -EPERM;
	return (size_t)n < size ? n : -E2BIG;
}

int template_expand(const char *text, const struct template_values *values,
		    char *buffer, size_t size)
{
	bool ipv6 = values->addr.family == AF_INET6 &&
		    scheme_parse(text, NULL) != SCHEME_UNIX;
	const char *begin = text, *end;
	size_t used = 0;
	int n;

	while (*begin) {
		if (begin[0] == '$' && begin[1] == '{') {
			bool bare = begin == text ||
				    (begin[-1] != '[' && begin[-1] != ',');

			end = strchr(begin, '}');
			n = value_fmt(
				template_use_parse(begin + 2,
						   (size_t)(end - begin) - 2),
				values, /* brackets: */ ipv6 && bare,
				buffer + used, size - used);
			if (n < 0)
				return n;
			used += (size_t)n;
			begin = end + 1;
			continue;
		}
		if (used + 1 >= size)
			return -E2BIG;
		buffer[used++] = *begin++;
	}
	buffer[used] = '\0';
	return 0;
}
