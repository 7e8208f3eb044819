// SPDX-License-Identifier: Apache-2.0
/* file_id.c - is it still the same file, on the same mount, at a path? */
#include "common/file_id.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef STATX_MNT_ID_UNIQUE /* Linux 6.8 */
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

struct file_id file_id_get(const char *path)
{
	const unsigned int mount_ids = STATX_MNT_ID | STATX_MNT_ID_UNIQUE;
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_INO | mount_ids,
		  &stx) < 0)
		return (struct file_id){ 0 };
	return (struct file_id){
		.device = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.inode = stx.stx_ino,
		.mount = (stx.stx_mask & mount_ids) ? stx.stx_mnt_id : 0,
	};
}

bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->mount == b->mount;
}
