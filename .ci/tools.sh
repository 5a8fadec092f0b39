# The tools that .ci/test needs, each of one version. What is missing is installed, or
# ends the run.

lint_version=v2.15.0      # github.com/golangci/golangci-lint
vuln_version=v1.9.0       # golang.org/x/vuln
deadcode_version=v0.52.0  # golang.org/x/tools
# The advisories, which the Go project publishes as a module too: what is at
# vuln.go.dev on that day. Move it when the notice says that it is old.
vulndb_version=v0.0.0-20261105234957-e22db6528018

tools_dir=$(go env GOPATH)/bin

# install_packages installs Debian packages for the programs that are not there.
install_packages() {
  local missing=() program package
  while read -r program package; do
    PATH=$PATH:/sbin:/usr/sbin command -v "$program" >/dev/null || missing+=("$package")
  done <<'END'
git git
strace strace
python3 python3
mkfs.ext4 e2fsprogs
systemd-analyze systemd
rsync rsync
END
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  else
    echo "missing: apt-get install ${missing[*]}" >&2
    return 1
  fi
}

# install_go PACKAGE MODULE VERSION installs a program, unless that version is there.
install_go() {
  local program=$tools_dir/${1##*/}
  if ! go version -m "$program" 2>/dev/null | grep -qF "	mod	$2	$3	"; then
    go install "$1@$3"
  fi
}
