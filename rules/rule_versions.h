/* SPDX-License-Identifier: Apache-2.0 */
/* rule_versions.h - the latest and the last good version of each rule file */
#ifndef RULES_RULE_VERSIONS_H
#define RULES_RULE_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/file_id.h"
#include "rules/rule.h"
#include "rules/rules.h"

/**
 * struct rule_version - one file name, whichever directory has it
 * @name, @path: owned
 * @file:	what was at @path before it was read
 * @text:	as last read, @len bytes; NULL: unreadable or not read yet
 * @latest:	@text parsed; NULL when that failed
 * @problems:	of reading and parsing @text
 * @good:	in force; an earlier version, or NULL, while there are errors
 * @last_good:	@good is in force despite @errors: an earlier version than
 *		@text, or the same, one of whose names was taken since
 * @errors:	@problems and those against other files
 * @changed:	what is in force of it, or @errors, are others since the files
 *		were composed the last time
 */
struct rule_version {
	char *name;
	char *path;
	struct file_id file;
	char *text;
	size_t len;
	struct rule_file *latest;
	struct rules_errors problems;
	struct rule_file *good;
	bool last_good;
	struct rules_errors errors;
	bool changed;
};

/**
 * struct rule_versions - all files, sorted by name
 * @list:	of pointers; owned
 */
struct rule_versions {
	struct rule_version **list;
	size_t n;
};

/** rule_version_new() - nothing read yet. NULL: out of memory. */
struct rule_version *rule_version_new(const char *name, const char *path);

/** rule_version_free() - frees it with all that it owns. NULL is fine. Returns
 * NULL. */
struct rule_version *rule_version_free(struct rule_version *version);

/** rule_versions_done() - frees all versions and the list */
void rule_versions_done(struct rule_versions *versions);

/**
 * rule_version_read() - reads and parses the file at @path
 *
 * Does nothing when path and text are what they were.
 * Return: 0, also when there are problems now; the -errno of
 * rule_text_read() when the file could not be read (a problem as well, and
 * worth another try); -ENOMEM with everything as it was.
 */
int rule_version_read(struct rule_version *version, const char *path);

/**
 * rule_versions_compose() - decides which version of each file is in force
 * @ret_ruleset: a new reference
 * @ret_changed: rules, files or errors differ from before
 *
 * A file whose latest version has no problem of its own, and no rule name that
 * an earlier file has, is in force with it; any other with its last good one.
 * Return: 0 or -ENOMEM with everything as it was.
 */
int rule_versions_compose(struct rule_versions *versions,
			  struct ruleset **ret_ruleset, bool *ret_changed);

#endif
