# Sourced by tests that need real services, so that none is installed on this computer: a Debian 12
# with every network stack, sshd, a kernel and an initramfs for ext4, xfs and btrfs. It is made once,
# as machine-12.tar of the cache folder. Machines start from it too, so what only fills disks is left
# out.

. "$(dirname "${BASH_SOURCE[0]}")/../../ops/lib/common.sh"

make_services() {
  local part leave=()
  for part in doc info locale man; do leave+=("--dpkgopt=path-exclude=/usr/share/$part/*"); done
  once machine-12.tar mmdebstrap --quiet --variant=minbase --mode=root "${leave[@]}" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --include=usr-is-merged,systemd-sysv,ifupdown,netplan.io,network-manager,iproute2,procps,openssh-server \
    --include=linux-image-cloud-amd64,initramfs-tools,xfsprogs,btrfs-progs \
    bookworm
}

# A Debian 12 that starts with System V's init, as sysv-12.tar of the cache folder.
make_sysv() {
  once sysv-12.tar mmdebstrap --quiet --variant=minbase --mode=root \
    --include=sysvinit-core,ifupdown,iproute2,procps,hostname bookworm
}
