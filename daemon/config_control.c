// SPDX-License-Identifier: Apache-2.0
/* config_control.c - who may connect to a socket, and the section `control` of
 * berthd.yaml */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/config_parse.h"
#include "rules/yaml_node.h"

#define MODE_MAX 0777u

enum access_key {
	ACCESS_USER,
	ACCESS_GROUP,
	ACCESS_MODE,
};

enum control_key {
	CONTROL_USER, /* these three as config_parse_access() takes them */
	CONTROL_GROUP,
	CONTROL_MODE,
	CONTROL_READERS,
	CONTROL_REGISTRARS,
};

static const char *const control_keys[] = {
	[CONTROL_USER] = "user",
	[CONTROL_GROUP] = "group",
	[CONTROL_MODE] = "mode",
	[CONTROL_READERS] = "readers",
	[CONTROL_REGISTRARS] = "registrars",
};

static void parse_group(struct parse *parse, const struct yaml_node *node,
			const struct accounts *accounts, const char *key,
			gid_t *ret_gid)
{
	const char *text;
	int r;

	if (!parse_text(parse, node, key, "the name or number of a group",
			&text))
		return;
	r = accounts->group(text, ret_gid);
	if (r == -ENOENT)
		(void)parse_error(parse, node,
				  "%s is %s: there is no such group", key,
				  QUOTE(text));
	else if (r == -ERANGE)
		(void)parse_error(parse, node,
				  "%s is %s: no group can have this number",
				  key, QUOTE(text));
	else if (r < 0)
		(void)parse_error(parse, node,
				  "%s is %s: cannot look this group up: %s",
				  key, QUOTE(text), strerror(-r));
}

/* YAML 1.1 reads 0660 as 432, YAML 1.2 as 660. The text is what people mean by
 * it; without the zero in front it can be either, and is refused. */
static void parse_mode(struct parse *parse, const struct yaml_node *node,
		       mode_t *ret_mode)
{
	const char *digits = node->text;
	unsigned long mode;
	char *end;

	if (node->kind == NODE_SCALAR && digits[0] == '0' &&
	    strspn(digits + 1, "o") <= 1) {
		digits += digits[1] == 'o' ? 2 : 1;
		mode = strtoul(digits, &end, 8);
		if (strspn(digits, "01234567") == strlen(digits) &&
		    end != digits && mode <= MODE_MAX) {
			*ret_mode = (mode_t)mode;
			return;
		}
	}
	(void)parse_error(
		parse, node,
		"mode is %s, expected octal digits with a 0 in front, "
		"such as 0660",
		FOUND(node));
}

void config_parse_access(struct parse *parse, const struct field *fields,
			 const struct accounts *accounts,
			 struct socket_access *access)
{
	struct account account;

	if (fields[ACCESS_USER].key &&
	    config_parse_user(parse, fields[ACCESS_USER].value, accounts,
			      "user", &account)) {
		access->uid = account.uid;
		access->gid = account.gid;
	}
	if (fields[ACCESS_GROUP].key) {
		access->mode = SOCKET_MODE_GROUP;
		parse_group(parse, fields[ACCESS_GROUP].value, accounts,
			    "group", &access->gid);
	}
	if (fields[ACCESS_MODE].key)
		parse_mode(parse, fields[ACCESS_MODE].value, &access->mode);
}

static void parse_registrars(struct parse *parse, const struct yaml_node *node,
			     const struct accounts *accounts,
			     struct config_control *control)
{
	static const char what[] = "registrars";
	const struct yaml_node *items;
	size_t n = parse_items(parse, node, what,
			       "the name or number of a user", &items);
	struct account account;

	if (n > CONFIG_REGISTRARS_MAX) {
		(void)parse_error(parse, node,
				  "registrars has %zu users, expected at most "
				  "%u",
				  n, CONFIG_REGISTRARS_MAX);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (config_parse_user(parse, &items[i], accounts, what,
				      &account))
			control->registrars[control->n_registrars++] =
				account.uid;
	}
}

/* Where nothing else is written, the socket is the readers'. */
static void parse_readers(struct parse *parse, const struct field *fields,
			  const struct accounts *accounts,
			  struct config_control *control)
{
	const struct yaml_node *node = fields[CONTROL_READERS].value;

	if (yaml_node_is_null(node))
		return;
	parse_group(parse, node, accounts, "readers", &control->readers);
	if (fields[CONTROL_GROUP].key)
		return;
	control->access.gid = control->readers;
	if (!fields[CONTROL_MODE].key)
		control->access.mode = SOCKET_MODE_GROUP;
}

void config_default_readers(struct config_control *control,
			    const struct accounts *accounts)
{
	gid_t gid;

	if (control->access_given || accounts->group(CONFIG_READERS, &gid) < 0)
		return;
	control->readers = gid;
	control->access.gid = gid;
	control->access.mode = SOCKET_MODE_GROUP;
}

bool config_parse_control(struct parse *parse, const struct yaml_node *node,
			  const struct accounts *accounts,
			  struct config_control *control)
{
	struct field fields[ARRAY_SIZE(control_keys)];
	size_t before = parse->n_errors;

	*control = (struct config_control){
		.access = { .uid = (uid_t)-1,
			    .gid = (gid_t)-1,
			    .mode = SOCKET_MODE_PRIVATE },
		.readers = CONFIG_NO_READERS,
	};
	if (yaml_node_is_null(node))
		return true;
	if (!parse_mapping(parse, node, "control", control_keys,
			   ARRAY_SIZE(control_keys), fields))
		return false;
	config_parse_access(parse, &fields[CONTROL_USER], accounts,
			    &control->access);
	for (unsigned int i = CONTROL_USER; i <= CONTROL_READERS; i++)
		control->access_given |= fields[i].key != NULL;
	if (fields[CONTROL_READERS].key)
		parse_readers(parse, fields, accounts, control);
	if (fields[CONTROL_REGISTRARS].key)
		parse_registrars(parse, fields[CONTROL_REGISTRARS].value,
				 accounts, control);
	return parse->error == 0 && parse->n_errors == before;
}
