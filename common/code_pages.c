// SPDX-License-Identifier: Apache-2.0
/* code_pages.c - what of the programs' own files is mapped
 *
 * Theory of operation: with the first use of a page the kernel maps those
 * around it, too (64 KiB, if they are in its cache: do_fault_around() in
 * mm/memory.c). A start touches a little of everything, and so most of each
 * library counts as memory of the process for as long as it runs.
 *
 * MADV_DONTNEED takes the pages out of the process's table and leaves them in
 * the cache: madvise(2), "shared file mappings, and private ones that were not
 * written to, are read again from the file". Only segments without PF_W are
 * given up: these are never written to. The exceptions are the breakpoints of
 * debuggers and of uprobes that were set before; they have to be set again.
 */
#include "common/code_pages.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* A callback of dl_iterate_phdr(3): one file. */
static int release_file(struct dl_phdr_info *info, size_t size, void *user_data)
{
	const uintptr_t page = *(const uintptr_t *)user_data;

	(void)size; /* only fields that glibc always had are read */
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = (uintptr_t)info->dlpi_addr + segment->p_vaddr;
		const uintptr_t end = start + segment->p_memsz;

		if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
			continue;
		start -= start % page;
		/* Fails for the vDSO, and for what is locked in memory. */
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
	}
	return 0;
}

void code_pages_release(void)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)dl_iterate_phdr(release_file, (void *)&page); /* returns 0 */
}
