/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - rule files on the disk */
#ifndef RULES_LOAD_H
#define RULES_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct rules_errors;

/**
 * struct rule_source - a rule file that was found
 * @name:	file name, by which files are ordered and hide one another;
 * owned
 * @path:	owned
 * @dir:	index of its directory
 */
struct rule_source {
	char *name;
	char *path;
	size_t dir;
};

/**
 * struct rule_sources - those of some directories
 * @misnamed:	paths of files that may be meant as rule files, by their names,
 *		but are not read; owned, at most RULE_MISNAMED_MAX
 */
struct rule_sources {
	struct rule_source *list;
	size_t n;
	char **misnamed;
	size_t n_misnamed;
};
#define RULE_MISNAMED_MAX 20 /* more tell a writer nothing new */

/** path_join() - "dir/name", allocated, or NULL */
char *path_join(const char *dir, const char *name);

/** rule_file_name_ok() - "*.yaml", and not hidden? */
bool rule_file_name_ok(const char *name);

/**
 * rule_sources_scan() - appends the rule files of one directory
 * @dir:	its index, see rule_sources_sort()
 *
 * Return: 0; -ENOENT when it does not exist; -ENOTDIR; -errno of opendir(3);
 * -ENOMEM.
 */
int rule_sources_scan(struct rule_sources *sources, const char *path,
		      size_t dir);

/** rule_sources_add() - appends one file. Return: 0 or -ENOMEM. */
int rule_sources_add(struct rule_sources *sources, const char *dir_path,
		     const char *name, size_t dir);

/** rule_sources_problems() - appends one for each misnamed file.
 * Return: 0 or -ENOMEM. */
int rule_sources_problems(const struct rule_sources *sources,
			  struct rules_errors *errors);

/** rule_sources_sort() - by name; of one name the lowest @dir stays alone */
void rule_sources_sort(struct rule_sources *sources);

/** rule_sources_done() - frees the lists; they are empty then */
void rule_sources_done(struct rule_sources *sources);

/**
 * rule_text_read() - the text of one file
 * @ret_stat:	the file's owner and mode, also of one that is too large; NULL:
 *		nobody asks
 * @ret_text:	allocated; "" for /dev/null
 *
 * Never blocks on what is not a regular file.
 * Return: 0; -EISDIR; -ENOTSUP for a FIFO, socket or device; -EFBIG above
 * YAML_TEXT_MAX; -errno of open(2) and read(2); -ENOMEM.
 */
int rule_text_read(const char *path, struct stat *ret_stat, char **ret_text,
		   size_t *ret_len);

/** rule_read_problem() - what to tell of a failure of rule_text_read() */
const char *rule_read_problem(int error);

#endif
