/* SPDX-License-Identifier: Apache-2.0 */
/* mounts_kernel.h - what the kernel says of mounts, for older headers
 *
 * fanotify's events of mounts are Linux 6.15's, statmount(2) is 6.8's. The
 * structures have names of their own, so that newer headers do not clash.
 */
#ifndef COMMON_MOUNTS_KERNEL_H
#define COMMON_MOUNTS_KERNEL_H

#include <linux/fanotify.h>
#include <stddef.h>
#include <stdint.h>

#ifndef FAN_REPORT_MNT
#define FAN_REPORT_MNT 0x00004000
#endif
#ifndef FAN_MARK_MNTNS
#define FAN_MARK_MNTNS 0x00000110
#endif
#ifndef FAN_MNT_ATTACH
#define FAN_MNT_ATTACH 0x01000000
#endif
#ifndef FAN_MNT_DETACH
#define FAN_MNT_DETACH 0x02000000
#endif
#ifndef FAN_EVENT_INFO_TYPE_MNT
#define FAN_EVENT_INFO_TYPE_MNT 7
#endif
#ifndef SYS_statmount
#define SYS_statmount 457 /* on every architecture that we know but alpha */
#endif
#ifndef STATMOUNT_MNT_POINT
#define STATMOUNT_MNT_POINT 0x00000010U
#endif

/** struct mount_info_record - struct fanotify_event_info_mnt */
struct mount_info_record {
	struct fanotify_event_info_header header;
	uint64_t mount_id;
};

/** struct mount_request - struct mnt_id_req, its first version */
struct mount_request {
	uint32_t size;
	uint32_t spare;
	uint64_t mount_id;
	uint64_t mask;
};

/** struct mount_status - struct statmount: the fields before and after the one
 * that is asked for are not named */
struct mount_status {
	uint32_t size;
	uint32_t unused1;
	uint64_t mask;
	uint32_t unused2[23];
	uint32_t point; /* offset in text */
	uint32_t unused3[100];
	char text[];
};

_Static_assert(offsetof(struct mount_status, point) == 108 &&
		       offsetof(struct mount_status, text) == 512,
	       "the layout is the kernel's");

#endif
