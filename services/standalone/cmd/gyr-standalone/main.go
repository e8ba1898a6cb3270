// Command gyr-standalone is all of Gyr in one process with one data folder.
package main

import (
	"os"

	"github.com/gyr-db/gyr/services/process"
	"github.com/gyr-db/gyr/services/standalone"
)

func main() { os.Exit(process.Main(standalone.Role())) }
