package woodpecker

import "syscall"

var errNoSpace = syscall.ENOSPC
