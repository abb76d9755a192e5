/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One memprobe attaches at a time; see attach_lock.h. */
#include "app/attach_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"

/* Needed by all that we load, so it is there. */
#define LOCK_FILE "/sys/kernel/btf/vmlinux"
#define STEP_NS (5 * NS_PER_MS)
#define MOST_STEPS 1000

int attach_lock(void (*busy)(void *ctx), void *ctx)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	int fd = open(LOCK_FILE, O_RDONLY | O_CLOEXEC), steps;

	for (steps = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); steps++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || steps == MOST_STEPS) {
			if (errno == EWOULDBLOCK)
				log_warn("another memprobe has been attaching for 5 s: not waiting for it any longer");
			close(fd);
			return -1;
		}
		busy(ctx);
		nanosleep(&step, NULL);
	}
	return fd;
}

void attach_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
