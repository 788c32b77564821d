#!/usr/bin/env bash
# Build the real tools that the tests run (opa, conftest, actionlint, regal) into .tools/bin, at pinned versions.
# One is built again only when its version changes. Without a Go toolchain nothing is built, and the tests that
# need a tool are skipped; with one, a missing tool fails them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/.tools/bin
stamps=$PWD/.tools/versions

if ! command -v go >/dev/null; then
  echo "no Go toolchain (https://go.dev/dl/): the tools are not built, and the tests that need them are skipped"
  exit 0
fi
mkdir -p "$bin" "$stamps"

# build NAME VERSION COMMAND…: run the command unless the tool is here at that version.
build() {
  local name=$1 version=$2 start=$SECONDS
  shift 2
  if [[ -x $bin/$name && $(cat "$stamps/$name" 2>/dev/null) == "$version" ]]; then
    echo "$name $version: here already"
    return
  fi
  "$@"
  echo "$version" >"$stamps/$name"
  echo "$name $version: built in $((SECONDS - start)) s"
}

install() {
  GOBIN=$bin go install "$1"
}

# regal cannot be installed by name, because its module proxy serves no version list for it: its own module pins it.
build_regal() {
  (cd tools/regal && go build -o "$bin/" tool)
}

build opa 1.22.2 install github.com/open-policy-agent/opa@v1.22.2
build conftest 0.71.1 install github.com/open-policy-agent/conftest@v0.71.1
build actionlint 1.7.12 install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
build regal 0.35.1 build_regal
