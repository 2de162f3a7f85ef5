#!/usr/bin/env bash
# Makes a container engine of its own for the tests, of the system's podman; see common.sh for the use.
# FOLDER/engine runs it. FOLDER/system names an image that is to have the host's /usr mounted, FOLDER/busybox one that
# has programs of its own.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
mode="${1:-}"
. "$here/common.sh"

needed() {
    [ "$(id -u)" = 0 ] || {
        echo "the container engine of the tests needs root" >&2
        return 1
    }
    local program
    for program in podman crun catatonit busybox; do
        command -v "$program" >/dev/null && continue
        echo "not installed: $program" >&2
        return 1
    done
}

# write_engine FOLDER DRIVER: podman with a storage of its own, in a mount table of its own, since the hybrid of both
# versions of control groups is what it cannot read.
write_engine() {
    cat >"$1/engine" <<END
#!/bin/sh
exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman "\$@"' sh \\
    --storage-driver $2 --root '$1/storage' --runroot '$1/run' --tmpdir '$1/tmp' \\
    --cgroup-manager cgroupfs --events-backend none --runtime crun "\$@"
END
    chmod +x "$1/engine"
}

# A root whose programs are those of a /usr that is mounted later.
system_root() {
    mkdir -p "$1/usr" "$1/etc"
    local link
    for link in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$link" ]; then cp -a "/$link" "$1/"; fi
    done
    cp -a /etc/ld.so.cache "$1/etc/"
    if [ -d /etc/alternatives ]; then cp -a /etc/alternatives "$1/etc/"; fi
}

busybox_root() {
    mkdir -p "$1/bin" "$1/usr"
    cp "$(command -v busybox)" "$1/bin/busybox"
    local program
    for program in $("$1/bin/busybox" --list); do ln -s busybox "$1/bin/$program" 2>/dev/null || true; done
}

# import_image FOLDER NAME: makes an image of FOLDER/NAME.root and writes its id to FOLDER/NAME.
import_image() {
    tar -C "$1/$2.root" -cf "$1/$2.tar" .
    "$1/engine" import --quiet "$1/$2.tar" "localhost/mcp-gateway-$2:1" >"$1/$2"
    rm -rf "$1/$2.root" "$1/$2.tar"
}

# Overlay where the file system takes it, else copies.
install_container() {
    local driver
    for driver in overlay vfs; do
        rm -rf "$1"
        mkdir -p "$1"
        write_engine "$1" "$driver"
        busybox_root "$1/busybox.root"
        import_image "$1" busybox || continue
        "$1/engine" run --rm --network none --ulimit nofile=64:64 --ulimit nproc=64:64 "$(cat "$1/busybox")" true && break
    done
    system_root "$1/system.root"
    import_image "$1" system
}

if [ "$mode" != --where ] && ! needed; then exit 0; fi
set_up container install_container "${BASH_SOURCE[0]}"
