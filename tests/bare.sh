#!/bin/sh
# ./bootstrap on a bare Debian 12: a root file system with nothing but the minimal base and git, and
# a clone of this repository (what is not committed is not in it).  usage: bare.sh FOLDER  (as root)
#
# It is made and mounted in a mount namespace of its own: however this script ends, no mount outlives
# it. Programs there have it as their root, not as a chroot: into that no nsenter leads back.
set -eu
bare=$(realpath -m "${1:-build/bare}")
root=$bare/root
release=bookworm

skip() {
	echo "bootstrap-test: skipped: $*"
	exit 0
}
[ "$(id -u)" = 0 ] || skip "needs root"
for command in debootstrap unshare chroot git; do
	command -v "$command" >/dev/null || skip "needs $command"
done
[ -n "${BARE_INSIDE-}" ] || BARE_INSIDE=1 exec unshare --mount --propagation private sh "$0" "$bare"

trap 'umount --recursive "$root" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT
trap 'exit 1' HUP INT TERM
rm -rf --one-file-system "$root"
mkdir -p "$root" "$bare/cache"

say() { echo "bootstrap-test: $*"; }

# The package sources are this machine's own, with its proxy if it uses one.
# shellcheck disable=SC2016 # apt's own variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $release" |
	head -n 1)
say "debootstrap of $release"
debootstrap --variant=minbase --include=git,ca-certificates --cache-dir="$bare/cache" \
	"$release" "$root" "$mirror" >"$bare/debootstrap.log" 2>&1 ||
	{ tail "$bare/debootstrap.log"; exit 1; }
rm -f "$root/etc/apt/sources.list"
cp -a /etc/apt/sources.list* "$root/etc/apt/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)' \
	>"$root/etc/apt/apt.conf.d/99host" || :
mount --bind "$root" "$root" # for pivot_root
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t tmpfs run "$root/run"
mkdir -p "$root/dev/pts" "$root/dev/shm" "$root/.old"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount --bind "$root/dev/pts/ptmx" "$root/dev/ptmx"
mount -t tmpfs shm "$root/dev/shm"
git clone -q --no-hardlinks "file://$(git rev-parse --show-toplevel)" "$root/bustap"
say "commit $(git -C "$root/bustap" describe --always)"

# inside COMMAND...: in the clone, with an environment as bare as the system.
network=
inside() {
	say "$*"
	# shellcheck disable=SC2016,SC2086 # the inner shell's; nothing or an option
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 ${http_proxy+"http_proxy=$http_proxy"} \
		unshare --mount $network --propagation private sh -c '
			cd "$1" && shift && pivot_root . .old && cd /bustap && umount -l /.old && exec "$@"' \
		sh "$root" "$@"
}
inside ./bootstrap demo
inside ./bootstrap check
say "once more, without a network"
network=--net
inside ./bootstrap demo >/dev/null
inside ./bootstrap deps
say "passed"
