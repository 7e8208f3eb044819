// SPDX-License-Identifier: Apache-2.0
/* provided_files.c - notes for the next berthd: which addresses are berth's */
#include "daemon/provided_files.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/json_build.h"
#include "daemon/json_file.h"

#define FILE_SUFFIX ".json"
#define FILE_BYTES_MAX (64 * 1024)

/* What is leaving, and what came for it. */
#define ADDRESSES_MAX (2 * PROVISIONS_MAX)

struct provided_files {
	char *dir;
};

int provided_files_new(const char *runtime_dir,
		       struct provided_files **ret_files)
{
	struct provided_files *files = calloc(1, sizeof(*files));
	int r;

	if (!files)
		return -ENOMEM;
	if (asprintf(&files->dir, "%s/provided", runtime_dir) < 0) {
		files->dir = NULL;
		(void)provided_files_free(files); /* is always NULL */
		return -ENOMEM;
	}
	if (mkdir(files->dir, 0700) < 0 && errno != EEXIST) {
		r = -errno;
		(void)provided_files_free(files); /* is always NULL */
		return r;
	}
	*ret_files = files;
	return 0;
}

struct provided_files *provided_files_free(struct provided_files *files)
{
	if (!files)
		return NULL;
	free(files->dir);
	free(files);
	return NULL;
}

static json_t *describe(const struct provided *provided)
{
	char addr[IP_TEXT_MAX];

	return json_pack("{s:s, s:I, s:s, s:i}", "interface",
			 provided->what.ifname, "ifindex",
			 (json_int_t)provided->ifindex, "address",
			 ip_addr_fmt(&provided->what.addr, addr), "prefix",
			 (int)provided->what.prefix_bits);
}

int provided_files_note(const struct provided_files *files, uint64_t netns_id,
			const struct provided *const *list, size_t n)
{
	char path[PATH_MAX];
	json_t *array;
	int len = snprintf(path, sizeof(path), "%s/%" PRIu64 FILE_SUFFIX,
			   files->dir, netns_id);

	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENAMETOOLONG;
	if (n == 0)
		return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	array = json_array();
	for (size_t i = 0; i < n; i++)
		json_add(&array, describe(list[i]));
	return json_file_save(path, json_pack("{s:o}", "addresses", array));
}

/* Return: 0; -EINVAL: berth did not write this; -ENOMEM. */
static int load_address(json_t *object, uint64_t netns_id,
			struct provider *provider)
{
	struct provision what = { .kind = PROVISION_ADDRESS };
	const char *ifname, *address;
	json_int_t ifindex;
	int prefix;

	if (json_unpack(object, "{s:s, s:I, s:s, s:i}", "interface", &ifname,
			"ifindex", &ifindex, "address", &address, "prefix",
			&prefix) < 0 ||
	    strlen(ifname) >= sizeof(what.ifname) || ifindex <= 0 ||
	    ifindex > INT32_MAX || ip_addr_parse(address, &what.addr) < 0 ||
	    prefix < 1 || prefix > (what.addr.family == AF_INET ? 32 : 128))
		return -EINVAL;
	memcpy(what.ifname, ifname, strlen(ifname));
	what.prefix_bits = (uint8_t)prefix;
	return provider_remember(provider, netns_id, &what, (uint32_t)ifindex);
}

static int load_file(const char *path, uint64_t netns_id,
		     struct provider *provider)
{
	json_t *root, *array, *object;
	size_t i;
	int r = json_file_load(path, FILE_BYTES_MAX, &root);

	if (r < 0)
		return r;
	array = json_object_get(root, "addresses");
	if (!json_is_array(array) || json_array_size(array) > ADDRESSES_MAX)
		r = -EINVAL;
	json_array_foreach (array, i, object) {
		if (r == 0)
			r = load_address(object, netns_id, provider);
	}
	json_decref(root);
	return r;
}

/* Return: is it the name of a note? */
static bool parse_name(const char *name, uint64_t *ret_netns_id)
{
	char *end;

	if (*name < '1' || *name > '9')
		return false;
	errno = 0;
	*ret_netns_id = strtoull(name, &end, 10);
	return errno == 0 && strcmp(end, FILE_SUFFIX) == 0;
}

int provided_files_load(const struct provided_files *files,
			struct provider *provider)
{
	DIR *dir = opendir(files->dir);
	struct dirent *entry;
	char path[PATH_MAX];
	uint64_t netns_id;
	int r = 0;

	if (!dir)
		return -errno;
	while (r != -ENOMEM && (entry = readdir(dir))) {
		if (!parse_name(entry->d_name, &netns_id))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", files->dir,
			       entry->d_name); /* it was made with this path */
		r = load_file(path, netns_id, provider);
		if (r < 0 && r != -ENOMEM)
			log_warning_errno(r,
					  "'%s' is no note of berth's; "
					  "ignoring it",
					  path);
	}
	(void)closedir(dir); /* was only read */
	return r == -ENOMEM ? r : 0;
}
