// SPDX-License-Identifier: Apache-2.0
/* rule_names.c - which rule has which name */
#include "rules/rule_names.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "common/util.h"

struct rule_name {
	const struct rule *rule;
	UT_hash_handle hh;
};

const struct rule *rule_names_find(const struct rule_names *names,
				   const char *name)
{
	struct rule_name *entry;

	HASH_FIND_STR(names->table, name, entry);
	return entry ? entry->rule : NULL;
}

int rule_names_add(struct rule_names *names, const struct rule *rule,
		   const struct rule **ret_first)
{
	const struct rule *first = rule_names_find(names, rule->name);
	struct rule_name *entry;

	if (!first) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->rule = rule;
		HASH_ADD_KEYPTR(hh, names->table, rule->name,
				strlen(rule->name), entry);
		/* How uthash tells that it could not. */
		if (!entry->hh.tbl) {
			free(entry);
			return -ENOMEM;
		}
	}
	*ret_first = first;
	return 0;
}

void rule_names_done(struct rule_names *names)
{
	struct rule_name *entry, *next;

	HASH_ITER (hh, names->table, entry, next) {
		HASH_DEL(names->table, entry);
		free(entry);
	}
}
