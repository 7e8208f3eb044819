/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - the rules in force, from drop-in files
 *
 * A ruleset is immutable and shared by reference count. The rule store keeps
 * the ruleset in force up to date with the directories.
 */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"

struct mounts;
struct rule;
struct ruleset;
struct rule_store;

/**
 * struct rules_error - one problem in something a person wrote
 * @file:	path as found; owned
 * @line, @column: from 1; 0 where the whole file is meant
 * @message:	what was found, what was expected; owned
 */
struct rules_error {
	char *file;
	unsigned int line;
	unsigned int column;
	char *message;
};

/** struct rules_errors - a growing list, bounded by RULES_ERRORS_MAX per file
 */
struct rules_errors {
	struct rules_error *list;
	size_t n;
};
#define RULES_ERRORS_MAX 20 /* per file: more tell a writer nothing new */

/** rules_errors_done() - frees the list with its texts; it is empty then */
void rules_errors_done(struct rules_errors *errors);

/** rules_error_fmt() - "file:line:column: message", allocated, or NULL */
char *rules_error_fmt(const struct rules_error *error);

/** struct rule_info - what status output shows of one rule */
struct rule_info {
	const char *name;
	const char *file;
	unsigned int line;
	const char *action; /* service_action_name() */
	const char *match; /* the match section in one line of text */
	const char *listen; /* the listen section in one line of text */
	const char
		*serve; /* the action in one line: "to unix:/x, 10.0.0.1:80" */
	const char *provide; /* the provide section, or NULL */
	const char *consumer; /* of a handoff, else NULL */
};

/** ruleset_ref() - takes one more reference; returns @ruleset */
struct ruleset *ruleset_ref(struct ruleset *ruleset);

/** ruleset_unref() - gives one reference back; the last one frees the ruleset.
 * NULL is fine. Returns NULL. */
struct ruleset *ruleset_unref(struct ruleset *ruleset);

/** ruleset_size() - how many rules there are */
size_t ruleset_size(const struct ruleset *ruleset);

/** ruleset_rule_info() - describes one rule, @index below ruleset_size(); texts
 * are borrowed from the ruleset */
void ruleset_rule_info(const struct ruleset *ruleset, size_t index,
		       struct rule_info *ret_info);

/** ruleset_has() - is there a rule of this name? */
bool ruleset_has(const struct ruleset *ruleset, const char *name);

/** ruleset_unprivileged() - does one rule, @index below ruleset_size(), go by
 * what others than root told as well? */
bool ruleset_unprivileged(const struct ruleset *ruleset, size_t index);

/**
 * ruleset_load() - reads directories and files once, for --check
 * @paths:	files, and directories of which each *.yaml is read; a file name
 *		in an earlier directory hides that name in the later ones
 * @errors:	problems are appended here
 *
 * A missing directory is empty; a missing file is an error.
 * Return: 0, also when @errors got entries (the ruleset then lacks those
 * files); -ENOMEM.
 */
int ruleset_load(const char *const *paths, size_t n,
		 struct rules_errors *errors, struct ruleset **ret_ruleset);

/**
 * ruleset_load_installed() - as ruleset_load(), but a file among @paths hides
 * its name in the directories behind it, as if it were installed over them
 */
int ruleset_load_installed(const char *const *paths, size_t n,
			   struct rules_errors *errors,
			   struct ruleset **ret_ruleset);

/**
 * ruleset_check() - which rules forward to themselves wherever they hold
 * @errors:	one is appended for each rule that does, at its name
 *
 * Told from the rules alone, so that what depends on a namespace's addresses is
 * not said.
 * Return: 0 or -ENOMEM.
 */
int ruleset_check(const struct ruleset *ruleset, struct rules_errors *errors);

/**
 * ruleset_warn() - which rules are valid, and of no use wherever they hold
 * @warnings:	one is appended for each backend that nobody can reach, and for
 *		each rule all of whose listeners an earlier rule has
 *
 * Return: 0 or -ENOMEM.
 */
int ruleset_warn(const struct ruleset *ruleset, struct rules_errors *warnings);

/**
 * struct rule_store_ops - what the store tells
 * @changed:	another ruleset is in force; take it with rule_store_ruleset()
 */
struct rule_store_ops {
	void (*changed)(void *user_data);
};

/**
 * rule_store_new() - loads the directories and follows their changes
 * @dirs:	highest precedence first; copied; each may be missing
 *
 * The first ruleset is loaded before this returns; @ops->changed is not
 * called for it. Problems in files are logged by the owner, not by the store:
 * see rule_store_file_info().
 * Return: 0; -ENOMEM; -errno of dirwatch_new() and dirwatch_add().
 */
int rule_store_new(struct loop *loop, const char *const *dirs, size_t n,
		   const struct rule_store_ops *ops, void *user_data,
		   struct rule_store **ret_store);

/** rule_store_free() - follows no change any more and frees the store. NULL is
 * fine. Returns NULL. */
struct rule_store *rule_store_free(struct rule_store *store);

/**
 * rule_store_follow_mounts() - sees from now on what is mounted over the
 * directories, the way to them, and single files
 * @mounts:	outlives the store
 *
 * Return: 0 or -ENOMEM.
 */
int rule_store_follow_mounts(struct rule_store *store, struct mounts *mounts);

/**
 * rule_store_reload() - reads everything again now (SIGHUP, berthctl reload)
 *
 * Files with an error keep their last good version. Calls @ops->changed when
 * the outcome (rules or problems) differs.
 * Return: 0 or -ENOMEM (the ruleset in force stays).
 */
int rule_store_reload(struct rule_store *store);

/** rule_store_ruleset() - the ruleset in force, borrowed */
struct ruleset *rule_store_ruleset(const struct rule_store *store);

/** struct rule_file_info - what status output shows of one file */
struct rule_file_info {
	const char *path;
	size_t n_rules; /* in force */
	bool last_good; /* rules stay in force in spite of the errors */
	bool changed; /* the last change of the outcome was, or was also, here
		       */
	const struct rules_errors *errors;
};

/** rule_store_files() - how many rule files there are, those with errors
 * included; problems of the directories themselves count as one more */
size_t rule_store_files(const struct rule_store *store);

/** rule_store_file_info() - describes one file, @index below
 * rule_store_files(); what it points to is borrowed until the next change */
void rule_store_file_info(const struct rule_store *store, size_t index,
			  struct rule_file_info *ret_info);

#endif
