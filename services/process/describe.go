package process

import (
	"errors"
	"fmt"
	"io"

	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/pkg/version"
)

// load reads a role's settings into s and into what the role registered.
func (role Role) load(s *Settings, args, environ []string, out io.Writer) (*config.Set, error) {
	*s = Defaults()
	if role.Defaults != nil {
		role.Defaults(s)
	}
	set := config.New(role.Name)
	s.register(set, role)
	if role.Register != nil {
		role.Register(set)
	}
	return set, set.Load(args, environ, version.String(), out)
}

// Describe prints the settings with which a role would start, each with its origin, without starting it. Its errors are
// those of the start. Asking for help prints help.
func Describe(role Role, args, environ []string, out io.Writer) error {
	var s Settings
	set, err := role.load(&s, args, environ, out)
	if errors.Is(err, config.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range set.Notices {
		fmt.Fprintf(out, "# %s\n", n)
	}
	return set.Print(out)
}

// ServesAPI changes the defaults of a role that serves the public API.
func ServesAPI(s *Settings) { s.Listen = "127.0.0.1:19530" }
