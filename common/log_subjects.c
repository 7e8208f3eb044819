// SPDX-License-Identifier: Apache-2.0
/* log_subjects.c - limits of log lines, for each subject its own
 *
 * Theory of operation: a small table, which is searched from end to end. A
 * subject keeps its place until its interval is over and the number of lines
 * that were held back is told; then another subject may take the place. A
 * subject that finds no place counts among "others", so the number of lines is
 * bounded for any number of subjects.
 */
#include "common/log_subjects.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

/* FNV-1a. It need not resist collisions: two subjects that collide only share
 * one limit. */
#define HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t text_hash(const char *text)
{
	uint64_t hash = HASH_BASIS;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * HASH_PRIME;
	return hash ? hash : 1;
}

static bool is_over(const struct log_subjects *subjects,
		    const struct log_subject *subject, uint64_t now_us)
{
	return subject->begin_us == 0 ||
	       now_us - subject->begin_us >= subjects->interval_us;
}

static struct log_subject *subject_find(struct log_subjects *subjects,
					const char *text, uint64_t now_us)
{
	uint64_t hash = text_hash(text);
	struct log_subject *subject, *found = NULL;

	for (int i = 0; i < LOG_SUBJECTS_MAX; i++) {
		subject = &subjects->subjects[i];
		if (subject->hash == hash)
			return subject;
		if (!found && is_over(subjects, subject, now_us))
			found = subject;
	}
	if (!found) {
		(void)snprintf(subjects->others.text,
			       sizeof(subjects->others.text), "others");
		return &subjects->others;
	}
	*found = (struct log_subject){ .hash = hash };
	/* A long text is cut. */
	(void)snprintf(found->text, sizeof(found->text), "%s", text);
	return found;
}

static void subject_tell(struct log_subjects *subjects,
			 struct log_subject *subject, uint64_t now_us,
			 uint64_t *next_us)
{
	uint64_t due_us = subject->begin_us + subjects->interval_us;

	if (subject->missed == 0)
		return;
	if (is_over(subjects, subject, now_us)) {
		log_warning("%s: %u similar messages were not printed",
			    subject->text, subject->missed);
		subject->missed = 0;
	} else if (due_us < *next_us) {
		*next_us = due_us;
	}
}

uint64_t log_subjects_tell(struct log_subjects *subjects, uint64_t now_us)
{
	uint64_t next_us = LOG_SUBJECTS_NEVER;

	for (int i = 0; i < LOG_SUBJECTS_MAX; i++)
		subject_tell(subjects, &subjects->subjects[i], now_us,
			     &next_us);
	subject_tell(subjects, &subjects->others, now_us, &next_us);
	return next_us;
}

bool log_subject_ok(struct log_subjects *subjects, const char *text,
		    uint64_t now_us)
{
	struct log_subject *subject;

	(void)log_subjects_tell(subjects, now_us);
	subject = subject_find(subjects, text, now_us);
	if (is_over(subjects, subject, now_us)) {
		subject->begin_us = now_us;
		subject->printed = 0;
	}
	if (subject->printed >= subjects->burst) {
		subject->missed++;
		return false;
	}
	subject->printed++;
	return true;
}
