/* SPDX-License-Identifier: Apache-2.0 */
/* log_subjects.h - limits of log lines, for each subject its own
 *
 * So a subject that fails often does not hide the lines about another one.
 */
#ifndef COMMON_LOG_SUBJECTS_H
#define COMMON_LOG_SUBJECTS_H

#include <stdbool.h>
#include <stdint.h>

/* How many subjects are told apart within one interval: more than a reader can
 * look after. All others share one limit. */
#define LOG_SUBJECTS_MAX 64

/* A subject's text is cut at this length. */
#define LOG_SUBJECT_TEXT_MAX 160

/** struct log_subject - one subject; @hash is that of its text, 0: the place is
 * free */
struct log_subject {
	uint64_t hash;
	uint64_t begin_us;
	unsigned int printed;
	unsigned int missed;
	char text[LOG_SUBJECT_TEXT_MAX];
};

/**
 * struct log_subjects - allows @burst lines of each subject in @interval_us
 *
 * Zero-initialize the others. Not for use by several threads.
 */
struct log_subjects {
	uint64_t interval_us;
	unsigned int burst;
	struct log_subject subjects[LOG_SUBJECTS_MAX];
	struct log_subject others;
};

#define LOG_SUBJECTS_NEVER UINT64_MAX

/**
 * log_subject_ok() - may another line about @text be printed now?
 * @now_us:	monotonic
 *
 * Calls log_subjects_tell().
 */
bool log_subject_ok(struct log_subjects *subjects, const char *text,
		    uint64_t now_us);

/**
 * log_subjects_tell() - says of each subject whose interval is over how many
 * lines were held back
 *
 * Return: when there is something to say next; LOG_SUBJECTS_NEVER: nothing was
 * held back.
 */
uint64_t log_subjects_tell(struct log_subjects *subjects, uint64_t now_us);

#endif
