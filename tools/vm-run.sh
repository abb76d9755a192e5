#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Runs a command as root under another kernel, on this machine's files.
#
#	tools/vm-run.sh KERNELDIR -- CMD [ARG...]	KERNELDIR: from tools/vm-fetch.sh
#
# QEMU's own processor (no KVM: virtual machines seldom have it), so CPU time is some twelve times
# longer. The machine's root file system is the guest's, read-only; /tmp, /run, /var/tmp and
# /dev/shm are empty and writable, the working directory and VM_KEEP stay visible. Standard output and
# error of CMD go to standard output; it has no input and no network.
#
# Exit status: CMD's; 77 what is needed is not there; 124 not finished in VM_TIMEOUT; 125 the guest
# died or never came up, with the last lines of its console on standard error. What the kernel
# complained about (BUG, WARNING, Oops) is shown in any case.
#
#	VM_MEMORY   MiB (1024)			VM_CPUS     (1)
#	VM_TIMEOUT  seconds (300)		VM_APPEND   kernel command line, as preempt=full
#	VM_CONSOLE  file for the console	VM_KEEP     more directories under /tmp, to be seen
#
# Needs qemu-system-x86_64, virtiofsd, cpio and a static busybox. x86-64 only.
set -u
skip() {
	echo "vm-run: $*" >&2
	exit 77
}
[ $# -ge 3 ] && [ "$2" = -- ] || { sed -n '3,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
kernel=$1
shift 2
modules=$(ls -d "$kernel"/lib/modules/* "$kernel"/usr/lib/modules/* 2>/dev/null | head -n 1)
image=$(ls "$kernel"/boot/vmlinuz* "$modules"/vmlinuz 2>/dev/null | head -n 1)
[ -n "$image" ] || skip "no kernel image in $kernel"
command -v qemu-system-x86_64 >/dev/null 2>&1 || skip "no qemu-system-x86_64 (Debian: qemu-system-x86)"
command -v cpio >/dev/null 2>&1 || skip "no cpio"
busybox=$(command -v busybox) || skip "no busybox (Debian: busybox-static)"
ldd "$busybox" >/dev/null 2>&1 && skip "$busybox is not static (Debian: busybox-static)"
virtiofsd=$(PATH=$PATH:/usr/lib/qemu:/usr/libexec:/usr/lib command -v virtiofsd) ||
	skip "no virtiofsd (Debian: virtiofsd, or qemu-system-common before 13)"

work=$(mktemp -d)
console=${VM_CONSOLE:-$work/console}
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- what the guest starts from: busybox, the modules for its root, and the command ----

# What virtiofs needs where it is not built in (6.1); order-free, as the guest tries three times.
copy_modules() {
	local name file
	for name in virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs; do
		file=$(find "$modules" \( -name "$name.ko" -o -name "$name.ko.xz" \) -print -quit)
		case $file in
		*.xz) xz -dc "$file" >"$work/root/m/$name.ko" ;;
		?*) cp "$file" "$work/root/m/" ;;
		esac
	done
}

write_init() {
	cat >"$work/root/init" <<-'I'
	#!/bin/busybox sh
	b=/bin/busybox
	$b mount -t devtmpfs d /dev
	$b mount -t proc p /proc
	for pass in 1 2 3; do
		for m in /m/*.ko; do [ -e $m ] && $b insmod $m 2>/dev/null; done
	done
	$b mount -t virtiofs -o ro root /new || { echo "no root file system"; $b poweroff -f; }
	n=0
	while read -r d; do
		n=$((n + 1))
		$b mkdir -p /keep/$n
		$b mount --bind "/new$d" /keep/$n
	done </keep.list
	for d in tmp run var/tmp; do $b mount -t tmpfs t /new/$d; done
	$b chmod 1777 /new/tmp /new/var/tmp
	n=0
	while read -r d; do
		n=$((n + 1))
		[ -e "/new$d" ] || { $b mkdir -p "/new$d"; $b mount --bind /keep/$n "/new$d"; }
	done </keep.list
	$b mount -t proc p /new/proc
	$b mount -t sysfs s /new/sys
	$b mount -t devtmpfs d /new/dev
	$b mkdir -p /new/dev/shm /new/dev/pts
	$b mount -t tmpfs t /new/dev/shm
	$b mount -t devpts p /new/dev/pts
	$b mount -t tracefs t /new/sys/kernel/tracing
	$b mount -t debugfs d /new/sys/kernel/debug
	$b mount -t bpf b /new/sys/fs/bpf
	$b mount -t cgroup2 c /new/sys/fs/cgroup
	$b ip link set lo up
	$b cp /command /new/run/command
	$b stty -F /dev/ttyS1 raw -echo
	$b stty -F /dev/ttyS2 raw -echo
	HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
		$b setsid $b chroot /new /bin/bash /run/command </dev/null >/dev/ttyS1 2>&1
	echo $? >/dev/ttyS2
	$b sleep 0.2
	$b poweroff -f
	I
	chmod +x "$work/root/init"
}

mkdir -p "$work"/root/{bin,proc,sys,dev,new,m,keep}
cp "$busybox" "$work/root/bin/busybox"
copy_modules
write_init
printf '%s\n' "$PWD" ${VM_KEEP:-} >"$work/root/keep.list"
{
	printf 'export TMPDIR=/tmp\ncd %q\n' "$PWD"
	printf '%q ' "$@"
	echo
} >"$work/root/command"
(cd "$work/root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"

# ---- run ----

"$virtiofsd" --socket-path="$work/socket" -o source=/ -o cache=always -o sandbox=chroot \
	--rlimit-nofile=0 >"$work/virtiofsd.log" 2>&1 &
server=$!
for ((i = 0; i < 100; i++)); do
	[ ! -S "$work/socket" ] || break
	sleep 0.05
done
[ -S "$work/socket" ] || skip "virtiofsd does not start: $(tail -n 1 "$work/virtiofsd.log")"

memory=${VM_MEMORY:-1024}
timeout -k 5 "${VM_TIMEOUT:-300}" qemu-system-x86_64 -cpu max -accel tcg \
	-m "$memory" -smp "${VM_CPUS:-1}" \
	-object memory-backend-memfd,id=memory,size="${memory}M",share=on -numa node,memdev=memory \
	-chardev socket,id=root,path="$work/socket" -device vhost-user-fs-pci,chardev=root,tag=root \
	-kernel "$image" -initrd "$work/initramfs" \
	-append "console=ttyS0 panic=-1 loglevel=5 ${VM_APPEND:-}" \
	-display none -no-reboot -net none -monitor none \
	-serial "file:$console" -serial stdio -serial "file:$work/status" </dev/null 2>"$work/qemu.log"
status=$?
awk '/invoked oom-killer/ { kills = 1 } # with a trace, and no fault of the kernel
	/[Oo]ut of memory/ { kills = 0 }
	!kills && /BUG|WARNING|Oops|RCU stall|Call Trace|invalid opcode|Kernel panic/' "$console" >&2
[ $status != 124 ] && [ $status != 137 ] || exit 124
code=$(tr -d '\r\n' <"$work/status" 2>/dev/null)
if [ -z "$code" ]; then
	echo "vm-run: the guest died; its console ends with:" >&2
	tail -n 20 "$console" "$work/qemu.log" >&2
	exit 125
fi
exit "$code"
