package process

import "github.com/gyr-db/gyr/pkg/vector/kernel"

// kernels names the vector kernels that this process uses, or says why it has none; gyr-ctl cpu says more.
func kernels() string {
	set, err := kernel.Default()
	if err != nil {
		return "none: " + err.Error()
	}
	return set.Name()
}
