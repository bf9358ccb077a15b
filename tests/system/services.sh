# Sourced by tests that need real services: a Debian 12 with every network stack, sshd, a kernel and
# an initramfs for ext4, xfs and btrfs, made once and kept as FOLDER/machine-12.tar, so that none is
# installed on this computer. Machines are started from it too, so what only fills disks is left out.
make_services() { # FOLDER
  local part leave=()
  [ -f "$1/machine-12.tar" ] && return 0
  mkdir -p "$1"
  for part in doc info locale man; do leave+=("--dpkgopt=path-exclude=/usr/share/$part/*"); done
  mmdebstrap --quiet --variant=minbase --mode=root "${leave[@]}" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --include=usr-is-merged,systemd-sysv,ifupdown,netplan.io,network-manager,iproute2,procps,openssh-server \
    --include=linux-image-cloud-amd64,initramfs-tools,xfsprogs,btrfs-progs \
    bookworm "$1/machine-12.$$.tar"
  mv "$1/machine-12.$$.tar" "$1/machine-12.tar"
}

# A Debian 12 that starts with System V's init, as FOLDER/sysv-12.tar.
make_sysv() { # FOLDER
  [ -f "$1/sysv-12.tar" ] && return 0
  mkdir -p "$1"
  mmdebstrap --quiet --variant=minbase --mode=root --include=sysvinit-core,ifupdown,iproute2,procps,hostname \
    bookworm "$1/sysv-12.$$.tar"
  mv "$1/sysv-12.$$.tar" "$1/sysv-12.tar"
}
