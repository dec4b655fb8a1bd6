#!/usr/bin/env bash
# What the scenarios need of the system, on Debian: qemu, file systems, and a kernel for the guest,
# which is unpacked into target/kernel and not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ $EUID -ne 0 ]]; then
    echo "only root can install packages and mount file systems" >&2
    exit 77
fi

lacking=()
for pair in mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs mount:mount qemu-system-x86_64:qemu-system-x86 cpio:cpio; do
    command -v "${pair%%:*}" >/dev/null || lacking+=("${pair##*:}")
done
if [[ ${#lacking[@]} -gt 0 ]]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${lacking[@]}"
fi

kernel="$PWD/target/kernel"
if ! compgen -G "$kernel/boot/vmlinuz-*" >/dev/null; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
    if [[ -z "$package" ]]; then
        apt-get update -qq
        package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
    fi
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    (cd "$download" && apt-get download -qq "$package")
    mkdir -p "$kernel"
    dpkg -x "$download"/*.deb "$kernel"
fi
echo "ready"
