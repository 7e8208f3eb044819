// SPDX-License-Identifier: Apache-2.0
/* ruleset_load.c - reads rule files once, for a check */
#include <string.h>

#include "common/util.h"
#include "rules/load.h"
#include "rules/parse.h"
#include "rules/rule_versions.h"

/* Was a path that does not exist meant as a file? Its name tells. */
static bool is_file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return rule_file_name_ok(slash ? slash + 1 : path);
}

static int add_file(struct rule_versions *files, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct rule_version **list;
	struct rule_version *version;

	list = reallocarray(files->list, files->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	files->list = list;
	version = rule_version_new(slash ? slash + 1 : path, path);
	if (!version)
		return -ENOMEM;
	files->list[files->n++] = version;
	return 0;
}

/* Takes a file as if it were the only one of directory number @dir. */
static int install_file(struct rule_sources *sources, const char *path,
			size_t dir)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder =
		slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	if (!folder)
		return -ENOMEM;
	return rule_sources_add(sources, folder, slash ? slash + 1 : path, dir);
}

/* Lists the files to read. Files that were named one by one hide others of
 * their name if they are to be installed. */
static int find_files(const char *const *paths, size_t n, bool install,
		      struct rules_errors *errors, struct rule_versions *files,
		      struct rule_sources *sources)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = rule_sources_scan(sources, paths[i], i);
		if (r == -ENOTDIR || (r == -ENOENT && is_file_name(paths[i])))
			r = install ? install_file(sources, paths[i], i)
				    : add_file(files, paths[i]);
		else if (r == -ENOENT)
			r = 0;
		else if (r < 0 && r != -ENOMEM)
			r = rules_errors_add(errors, paths[i], 0, 0,
					     rule_read_problem(r));
	}
	rule_sources_sort(sources);
	if (r == 0)
		r = rule_sources_problems(sources, errors);
	for (size_t i = 0; i < sources->n && r == 0; i++)
		r = add_file(files, sources->list[i].path);
	return r;
}

static int version_compare(const void *a, const void *b)
{
	const struct rule_version *const *va = a, *const *vb = b;
	int r = strcmp((*va)->name, (*vb)->name);

	return r ? r : strcmp((*va)->path, (*vb)->path);
}

static int read_files(struct rule_versions *files, struct rules_errors *errors,
		      struct ruleset **ret_ruleset)
{
	struct ruleset *ruleset = NULL;
	bool changed;
	int r = 0;

	if (files->n > 1)
		qsort(files->list, files->n, sizeof(*files->list),
		      version_compare);
	for (size_t i = 0; i < files->n; i++) {
		if (rule_version_read(files->list[i], files->list[i]->path) ==
		    -ENOMEM)
			return -ENOMEM;
	}
	r = rule_versions_compose(files, &ruleset, &changed);
	for (size_t i = 0; i < files->n && r == 0; i++) {
		const struct rules_errors *found = &files->list[i]->errors;

		for (size_t k = 0; k < found->n && r == 0; k++)
			r = rules_errors_add(errors, found->list[k].file,
					     found->list[k].line,
					     found->list[k].column,
					     found->list[k].message);
	}
	if (r < 0) {
		ruleset_unref(ruleset);
		return r;
	}
	*ret_ruleset = ruleset;
	return 0;
}

static int load(const char *const *paths, size_t n, bool install,
		struct rules_errors *errors, struct ruleset **ret_ruleset)
{
	struct rule_sources sources = { 0 };
	struct rule_versions files = { 0 };
	int r;

	r = find_files(paths, n, install, errors, &files, &sources);
	if (r == 0)
		r = read_files(&files, errors, ret_ruleset);
	rule_sources_done(&sources);
	rule_versions_done(&files);
	return r;
}

int ruleset_load(const char *const *paths, size_t n,
		 struct rules_errors *errors, struct ruleset **ret_ruleset)
{
	return load(paths, n, /* install= */ false, errors, ret_ruleset);
}

int ruleset_load_installed(const char *const *paths, size_t n,
			   struct rules_errors *errors,
			   struct ruleset **ret_ruleset)
{
	return load(paths, n, /* install= */ true, errors, ret_ruleset);
}
