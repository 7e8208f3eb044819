// SPDX-License-Identifier: Apache-2.0
/* load.c - rule files on the disk */
#include "rules/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/util.h"
#include "rules/parse.h"
#include "rules/yaml_node.h"

#define DEV_NULL makedev(1, 3)

#define READ_MAX (YAML_TEXT_MAX + (size_t)1)

char *path_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);
	char *path;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	if (asprintf(&path, "%.*s%s%s", (int)len, dir,
		     len == 1 && dir[0] == '/' ? "" : "/", name) < 0)
		return NULL;
	return path;
}

bool rule_file_name_ok(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 &&
	       strcmp(name + len - 5, ".yaml") == 0;
}

/* May the writer have meant this as a rule file? True for a name that is not
 * hidden and ends in another suffix of YAML files. */
static bool is_misnamed(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && name[0] != '.' && !rule_file_name_ok(name) &&
	       (strcasecmp(dot, ".yml") == 0 || strcasecmp(dot, ".yaml") == 0);
}

static int add_misnamed(struct rule_sources *sources, const char *dir_path,
			const char *name)
{
	char **list;

	if (sources->n_misnamed >= RULE_MISNAMED_MAX)
		return 0;
	list = reallocarray(sources->misnamed, sources->n_misnamed + 1,
			    sizeof(*list));
	if (!list)
		return -ENOMEM;
	sources->misnamed = list;
	list[sources->n_misnamed] = path_join(dir_path, name);
	if (!list[sources->n_misnamed])
		return -ENOMEM;
	sources->n_misnamed++;
	return 0;
}

int rule_sources_problems(const struct rule_sources *sources,
			  struct rules_errors *errors)
{
	int r = 0;

	for (size_t i = 0; i < sources->n_misnamed && r == 0; i++)
		r = rules_errors_add(errors, sources->misnamed[i], 0, 0,
				     "is not read: the name of a rule file "
				     "must end in .yaml");
	return r;
}

int rule_sources_add(struct rule_sources *sources, const char *dir_path,
		     const char *name, size_t dir)
{
	struct rule_source source = { .dir = dir };
	struct rule_source *list;

	list = reallocarray(sources->list, sources->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	sources->list = list;
	source.name = strdup(name);
	source.path = path_join(dir_path, name);
	if (!source.name || !source.path) {
		free(source.name);
		free(source.path);
		return -ENOMEM;
	}
	sources->list[sources->n++] = source;
	return 0;
}

int rule_sources_scan(struct rule_sources *sources, const char *path,
		      size_t dir)
{
	const struct dirent *entry;
	DIR *stream = opendir(path);
	int r = 0;

	if (!stream)
		return -errno;
	/* readdir(3) tells its end from an error by errno alone. */
	while (errno = 0, (entry = readdir(stream))) {
		if (rule_file_name_ok(entry->d_name))
			r = rule_sources_add(sources, path, entry->d_name, dir);
		else if (is_misnamed(entry->d_name))
			r = add_misnamed(sources, path, entry->d_name);
		if (r < 0)
			break;
	}
	if (!entry)
		r = -errno;
	(void)closedir(stream); /* nothing is written: closing loses nothing */
	return r;
}

static int source_compare(const void *a, const void *b)
{
	const struct rule_source *sa = a, *sb = b;
	int r = strcmp(sa->name, sb->name);

	return r ? r : (sa->dir > sb->dir) - (sa->dir < sb->dir);
}

static int path_compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void source_done(struct rule_source *source)
{
	free(source->name);
	free(source->path);
}

void rule_sources_sort(struct rule_sources *sources)
{
	size_t kept = 0;

	if (sources->n_misnamed > 1)
		qsort(sources->misnamed, sources->n_misnamed,
		      sizeof(*sources->misnamed), path_compare);
	if (sources->n > 1)
		qsort(sources->list, sources->n, sizeof(*sources->list),
		      source_compare);
	for (size_t i = 0; i < sources->n; i++) {
		if (kept > 0 && strcmp(sources->list[kept - 1].name,
				       sources->list[i].name) == 0)
			source_done(&sources->list[i]);
		else
			sources->list[kept++] = sources->list[i];
	}
	sources->n = kept;
}

void rule_sources_done(struct rule_sources *sources)
{
	for (size_t i = 0; i < sources->n; i++)
		source_done(&sources->list[i]);
	free(TAKE_PTR(sources->list));
	sources->n = 0;
	for (size_t i = 0; i < sources->n_misnamed; i++)
		free(sources->misnamed[i]);
	free(TAKE_PTR(sources->misnamed));
	sources->n_misnamed = 0;
}

/* Makes room for more of a file that grew since its size was asked. */
static int grow(char **buffer, size_t *room)
{
	size_t wanted = *room * 2 < READ_MAX ? *room * 2 : READ_MAX;
	char *grown = realloc(*buffer, wanted);

	if (!grown)
		return -ENOMEM;
	*buffer = grown;
	*room = wanted;
	return 0;
}

/* Reads up to one byte more than the limit, to know that it is exceeded. */
static int read_all(int fd, size_t size, char **buffer, size_t *ret_len)
{
	size_t len = 0, room = size < READ_MAX ? size + 1 : READ_MAX;
	ssize_t n;

	*buffer = malloc(room);
	if (!*buffer)
		return -ENOMEM;
	while (len < READ_MAX) {
		if (len == room && grow(buffer, &room) < 0)
			return -ENOMEM;
		n = read(fd, *buffer + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len < room)
			break; /* the end: a regular file gives all it has */
	}
	if (len > YAML_TEXT_MAX)
		return -EFBIG;
	*ret_len = len;
	return 0;
}

int rule_text_read(const char *path, struct stat *ret_stat, char **ret_text,
		   size_t *ret_len)
{
	/* Without O_NONBLOCK, opening a FIFO waits for its writer. */
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *buffer = NULL;
	struct stat st;
	char *text;
	int r;

	*ret_len = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (ret_stat)
		*ret_stat = st;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode)) {
		r = read_all(fd, (size_t)st.st_size, &buffer, ret_len);
		if (r < 0)
			return r;
	} else if (!S_ISCHR(st.st_mode) || st.st_rdev != DEV_NULL) {
		return -ENOTSUP;
	}
	/* The text is kept, to be compared at the next reload: in no more
	 * memory than it needs. */
	text = malloc(*ret_len + 1);
	if (!text)
		return -ENOMEM;
	if (*ret_len)
		memcpy(text, buffer, *ret_len);
	text[*ret_len] = '\0';
	*ret_text = text;
	return 0;
}

const char *rule_read_problem(int error)
{
	switch (-error) {
	case ENOENT:
		return "does not exist, or is a symbolic link to nowhere";
	case EISDIR:
		return "is a directory, expected a file";
	case ENXIO: /* what open(2) says of a socket */
	case ENOTSUP:
		return "is not a regular file";
	case EFBIG:
		return "is larger than 1024 KiB, the limit for a file";
	default:
		return strerrordesc_np(-error);
	}
}
