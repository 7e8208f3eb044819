// SPDX-License-Identifier: Apache-2.0
/* template.c - ${namespace} and its like in a backend
 *
 * The values are names and labels that a container's owner chose, and the
 * result is a path or an address that a process on the host connects to. A
 * value that could lead out of its directory is refused, never altered.
 */
#include "rules/template.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/protocol.h"
#include "common/util.h"
#include "rules/match.h"
#include "rules/suggest.h"

#define SAMPLE "x" /* for what is of a container, while a rule is parsed */

/** struct template_name - a word, alone or with "." and a key behind it;
 * @header: it is known in headers only */
struct template_name {
	const char *name;
	enum template_use use;
	bool has_key;
	bool header;
};

static const struct template_name template_names[] = {
	{ "namespace", TEMPLATE_NAMESPACE, false, false },
	{ "interface", TEMPLATE_INTERFACE, false, false },
	{ "address", TEMPLATE_ADDRESS, false, false },
	{ "port", TEMPLATE_PORT, false, false },
	{ "container", TEMPLATE_CONTAINER, false, false },
	{ "pod_namespace", TEMPLATE_POD_NAMESPACE, false, false },
	{ "label", TEMPLATE_LABEL, true, false },
	{ "namespace", TEMPLATE_NAMESPACE_GROUP, true, false },
	{ "container", TEMPLATE_CONTAINER_GROUP, true, false },
	{ "rule", TEMPLATE_RULE, false, true },
	{ "client", TEMPLATE_CLIENT, false, true },
	{ "client_port", TEMPLATE_CLIENT_PORT, false, true },
	{ "local", TEMPLATE_LOCAL, false, true },
};

/* Reads what stands between the braces, @len bytes. Return: is it known, in the
 * value of a @header or elsewhere? */
static bool ref_parse(const char *text, size_t len, bool header,
		      struct template_ref *ret_ref)
{
	const char *dot = memchr(text, '.', len);
	size_t name_len = dot ? (size_t)(dot - text) : len;
	size_t key_len = dot ? len - name_len - 1 : 0;

	if ((dot && key_len == 0) || key_len >= sizeof(ret_ref->key))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(template_names); i++) {
		const struct template_name *known = &template_names[i];

		if (known->has_key != (dot != NULL) ||
		    (known->header && !header) ||
		    strlen(known->name) != name_len ||
		    memcmp(known->name, text, name_len) != 0)
			continue;
		ret_ref->use = known->use;
		memcpy(ret_ref->key, dot ? dot + 1 : "", key_len);
		ret_ref->key[key_len] = '\0';
		return true;
	}
	return false;
}

static int unknown_name(const char *name, size_t len, bool header,
			char *problem)
{
	static const char *const words[] = {
		"namespace", "interface",     "address", "port",
		"container", "pod_namespace", "label",	 "rule",
		"client",    "client_port",   "local",
	};
	const size_t n_words = header ? ARRAY_SIZE(words) : 7;
	char found[32], word[32];
	const char *near;

	(void)snprintf(found, sizeof(found), "%.*s", (int)len, name);
	(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(found, "."),
		       found);
	near = suggest(word, words, n_words);
	if (strcmp(found, "label") == 0 || strcmp(found, "label.") == 0)
		(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
			       "${%s} lacks the key of the label, expected "
			       "${label.KEY}",
			       found);
	else if (near)
		(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
			       "unknown name ${%s}; did you mean ${%s%s}?",
			       found, near,
			       strcmp(near, "label") == 0 ? ".KEY" : "");
	else
		(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
			       "unknown name ${%s}, expected ${namespace}, "
			       "${interface}, ${address}, ${port}, "
			       "${container}, ${pod_namespace}, ${label.KEY}, "
			       "%s${namespace.GROUP} or ${container.GROUP}",
			       found,
			       header ? "${rule}, ${client}, ${client_port}, "
					"${local}, "
				      : "");
	return -EINVAL;
}

static int check(const char *text, bool header, char *problem)
{
	const char *begin = text, *end;
	struct template_ref ref;
	int uses = 0;

	while ((begin = strstr(begin, "${"))) {
		begin += 2;
		end = strchr(begin, '}');
		if (!end) {
			(void)snprintf(problem, TEMPLATE_PROBLEM_MAX,
				       "\"${\" without \"}\"");
			return -EINVAL;
		}
		if (!ref_parse(begin, (size_t)(end - begin), header, &ref))
			return unknown_name(begin, (size_t)(end - begin),
					    header, problem);
		uses |= (int)ref.use;
		begin = end + 1;
	}
	return uses;
}

int template_check(const char *text, char *problem)
{
	return check(text, /* header= */ false, problem);
}

int template_check_header(const char *text, char *problem)
{
	return check(text, /* header= */ true, problem);
}

const char *template_next(const char *text, struct template_ref *ret_ref)
{
	const char *begin = strstr(text, "${");
	const char *end = begin ? strchr(begin, '}') : NULL;

	if (!end || !ref_parse(begin + 2, (size_t)(end - begin) - 2,
			       /* header= */ true, ret_ref))
		return NULL;
	return end + 1;
}

/* Does a path with this name in it stay in the directory that the rule says? */
static bool name_is_safe(const char *name)
{
	return *name && strcmp(name, ".") != 0 && !strchr(name, '/') &&
	       !strstr(name, "..");
}

static int group_fmt(const struct template_ref *ref,
		     const struct template_values *values, char *buffer,
		     size_t size)
{
	const struct match *match = values->match;

	if (ref->use == TEMPLATE_CONTAINER_GROUP)
		return patterns_group(match->containers, match->n_containers,
				      values->container->name, ref->key, buffer,
				      size);
	return patterns_group(match->namespaces, match->n_namespaces,
			      values->namespace, ref->key, buffer, size);
}

/* Writes the name that one reference stands for. */
static int name_fmt(const struct template_ref *ref,
		    const struct template_values *values, char *buffer,
		    size_t size)
{
	const struct container *container = values->container;
	const char *name = NULL;
	int r;

	if (ref->use == TEMPLATE_NAMESPACE)
		name = values->namespace;
	else if (ref->use == TEMPLATE_RULE)
		name = values->rule;
	else if (ref->use == TEMPLATE_INTERFACE)
		name = values->ifname;
	else if (!values->match)
		name = SAMPLE;
	else if (ref->use == TEMPLATE_NAMESPACE_GROUP)
		return group_fmt(ref, values, buffer, size);
	else if (!container)
		return -ENOKEY;
	else if (ref->use == TEMPLATE_CONTAINER_GROUP)
		return group_fmt(ref, values, buffer, size);
	else if (ref->use == TEMPLATE_CONTAINER)
		name = container->name;
	else if (ref->use == TEMPLATE_POD_NAMESPACE)
		name = *container->pod_namespace ? container->pod_namespace
						 : NULL;
	else
		name = container_label(container, ref->key);
	if (!name)
		return -ENOKEY;
	r = snprintf(buffer, size, "%s", name);
	return (size_t)r < size ? 0 : -E2BIG;
}

/* The consumer fills in what is of a client. */
static const char *client_reference(enum template_use use)
{
	return use == TEMPLATE_CLIENT	     ? "${client}"
	       : use == TEMPLATE_CLIENT_PORT ? "${client_port}"
					     : "${local}";
}

/* Appends @text, with each "$" twice. Return: the length, or -E2BIG. */
static int double_dollars(const char *text, char *buffer, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		if (n + 2 >= size)
			return -E2BIG;
		if (*text == '$')
			buffer[n++] = '$';
		buffer[n++] = *text;
	}
	buffer[n] = '\0';
	return (int)n;
}

/* Writes the value that one reference stands for. Return: its length, or what
 * template_expand() says. */
static int value_fmt(const struct template_ref *ref,
		     const struct template_values *values, bool brackets,
		     char *buffer, size_t size)
{
	char addr[IP_TEXT_MAX];
	int n;

	if (ref->use == TEMPLATE_PORT) {
		n = snprintf(buffer, size, "%u", values->port);
	} else if (ref->use == TEMPLATE_ADDRESS) {
		n = snprintf(buffer, size, "%s%s%s", brackets ? "[" : "",
			     ip_addr_fmt(&values->addr, addr),
			     brackets ? "]" : "");
	} else {
		n = name_fmt(ref, values, buffer, size);
		if (n < 0)
			return n;
		if (!values->plain && !name_is_safe(buffer))
			return -EPERM;
		return (int)strlen(buffer);
	}
	return (size_t)n < size ? n : -E2BIG;
}

/* The same for the value of a header. */
static int header_value_fmt(const struct template_ref *ref,
			    const struct template_values *values, char *buffer,
			    size_t size)
{
	_cleanup_free_ char *plain = NULL;
	int n;

	if (ref->use & TEMPLATE_OF_CLIENT) {
		n = snprintf(buffer, size, "%s", client_reference(ref->use));
		return (size_t)n < size ? n : -E2BIG;
	}
	plain = malloc(size);
	if (!plain)
		return -ENOMEM;
	n = value_fmt(ref, values, /* brackets= */ false, plain, size);
	return n < 0 ? n : double_dollars(plain, buffer, size);
}

int template_expand(const char *text, const struct template_values *values,
		    char *buffer, size_t size)
{
	bool ipv6 = values->addr.family == AF_INET6 && !values->plain &&
		    scheme_parse(text, NULL) != SCHEME_UNIX;
	const char *begin = text;
	struct template_ref ref;
	size_t used = 0;
	int n;

	while (*begin) {
		if (begin[0] == '$' && begin[1] == '{') {
			bool bare = begin == text ||
				    (begin[-1] != '[' && begin[-1] != ',');

			begin = template_next(begin, &ref);
			assert(begin); /* template_check() took the text */
			n = values->header
				    ? header_value_fmt(&ref, values,
						       buffer + used,
						       size - used)
				    : value_fmt(&ref, values,
						/* brackets: */ ipv6 && bare,
						buffer + used, size - used);
			if (n < 0)
				return n;
			used += (size_t)n;
			continue;
		}
		if (used + (values->header ? 2 : 1) >= size)
			return -E2BIG;
		if (values->header && *begin == '$')
			buffer[used++] = '$';
		buffer[used++] = *begin++;
	}
	buffer[used] = '\0';
	return 0;
}
