# Sourced by the scripts beside it: builds a Go program that a module under modules/ pins, outside go.work, into a
# cache folder that the checksum of its go.mod and go.sum names. Sets $binary.
#   build MODULE PACKAGE
build() {
  local module=$here/modules/$1 cache=${GYR_SERVERS:-$HOME/.cache/gyr-servers} sum
  sum=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c1-12)
  binary=$cache/$1-$sum/$1
  [ -x "$binary" ] && return
  command -v go >/dev/null || { echo "$0: the go command is missing" >&2; exit 1; }
  echo "$0: building $2 (once, a minute or two)" >&2
  mkdir -p "${binary%/*}"
  # Two builds at once both succeed: the last rename wins, of equal bytes.
  (cd "$module" && GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$binary.$$" "$2")
  mv "$binary.$$" "$binary"
}

# private DIR: makes a folder and prints its absolute path.
private() { mkdir -p "$1" && (cd "$1" && pwd); }
