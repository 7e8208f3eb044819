/* SPDX-License-Identifier: Apache-2.0 */
/* rules_changes.h - what another ruleset changes, in one line of the log */
#ifndef DAEMON_RULES_CHANGES_H
#define DAEMON_RULES_CHANGES_H

struct binder;
struct rules_changes;
struct ruleset;

/** rules_changes_new() - no ruleset yet. Return: NULL: out of memory. */
struct rules_changes *rules_changes_new(void);

/** rules_changes_free() - returns NULL; NULL is fine */
struct rules_changes *rules_changes_free(struct rules_changes *changes);

/**
 * rules_changes_note() - @ruleset is in force from now on
 * @binder:	whose listeners do not follow it yet; NULL: there are none
 *
 * The first one is logged at once, a later one by rules_changes_settled(), or
 * before the next.
 */
void rules_changes_note(struct rules_changes *changes, struct ruleset *ruleset,
			const struct binder *binder);

/** rules_changes_settled() - every namespace has been looked at: logs what the
 * last ruleset has changed, unless that was logged */
void rules_changes_settled(struct rules_changes *changes,
			   const struct binder *binder);

#endif
