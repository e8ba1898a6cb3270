package ctl

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gyr-db/gyr/services/process"
)

// Settings prints a role's effective settings; args are the role's own flags.
type Settings func(role string, args []string, out io.Writer) error

// RoleSettings describes roles by the names of their binaries, with or without the gyr- in front. Only what a role
// registers is used; nothing is started.
func RoleSettings(roles []process.Role, environ []string) Settings {
	return func(name string, args []string, out io.Writer) error {
		var names []string
		for _, r := range roles {
			if strings.TrimPrefix(r.Name, "gyr-") == strings.TrimPrefix(name, "gyr-") {
				return process.Describe(r, args, environ, out)
			}
			names = append(names, strings.TrimPrefix(r.Name, "gyr-"))
		}
		return fmt.Errorf("there is no role %q; roles are %s", name, strings.Join(names, ", "))
	}
}

// showConfig shows settings: --role may stand anywhere, the other flags are the role's.
func showConfig(args []string, out io.Writer, settings Settings) error {
	if len(args) == 0 || args[0] != "show" {
		return errors.New("usage: gyr-ctl config show --role ROLE [--config FILE] [flags of that role]")
	}
	role, rest := "standalone", []string{}
	for i := 1; i < len(args); i++ {
		name := strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-")
		switch v, ok := strings.CutPrefix(name, "role="); {
		case ok && name != args[i]:
			role = v
		case name == "role" && name != args[i] && i+1 < len(args):
			role = args[i+1]
			i++
		default:
			rest = append(rest, args[i])
		}
	}
	return settings(role, rest, out)
}
