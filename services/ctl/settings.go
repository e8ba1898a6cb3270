package ctl

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gyr-db/gyr/services/process"
)

// Settings are the roles whose settings gyr-ctl shows, and in whose place it opens metadata store, storage and queue.
type Settings struct {
	roles   []process.Role
	environ []string
}

// RoleSettings describes roles by the names of their binaries, with or without the gyr- in front. Only what a role
// registers is used; nothing is started.
func RoleSettings(roles []process.Role, environ []string) Settings {
	return Settings{roles, environ}
}

// role finds a role by name.
func (s Settings) role(name string) (process.Role, error) {
	var names []string
	for _, r := range s.roles {
		if strings.TrimPrefix(r.Name, "gyr-") == strings.TrimPrefix(name, "gyr-") {
			return r, nil
		}
		names = append(names, strings.TrimPrefix(r.Name, "gyr-"))
	}
	return process.Role{}, fmt.Errorf("there is no role %q; roles are %s", name, strings.Join(names, ", "))
}

// showConfig shows settings: --role may stand anywhere, the other flags are the role's.
func showConfig(args []string, out io.Writer, settings Settings) error {
	if len(args) == 0 || args[0] != "show" {
		return errors.New("usage: gyr-ctl config show --role ROLE [--config FILE] [flags of that role]")
	}
	name := "standalone"
	rest := takeFlags(args[1:], map[string]*string{"role": &name}, nil)
	role, err := settings.role(name)
	if err != nil {
		return err
	}
	return process.Describe(role, rest, settings.environ, out)
}

// takeFlags takes gyr-ctl's own flags out of arguments that are a role's for the rest.
func takeFlags(args []string, values map[string]*string, switches map[string]*bool) (rest []string) {
	for i := 0; i < len(args); i++ {
		flag, isFlag := strings.CutPrefix(args[i], "-")
		name, value, given := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		switch {
		case isFlag && values[name] != nil && given:
			*values[name] = value
		case isFlag && values[name] != nil && i+1 < len(args):
			i++
			*values[name] = args[i]
		case isFlag && switches[name] != nil && !given:
			*switches[name] = true
		default:
			rest = append(rest, args[i])
		}
	}
	return rest
}
