package proxy

import (
	"fmt"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
)

// checkName says why a name cannot be taken. what is the word for its bearer in the message.
func checkName(what, name string) error {
	if why := nameFault(what+" name", strings.TrimSpace(name)); why != "" {
		return errs.Invalid("Invalid %s name: %s. %s", what, name, why)
	}
	return nil
}

// checkCollectionName is for names that are given to collections, and for those that none has: a name that none can have
// is told from one that happens to be free.
func checkCollectionName(name string) error { return checkName("collection", name) }

func checkAliasName(name string) error {
	if why := nameFault("collection alias", strings.TrimSpace(name)); why != "" {
		return errs.Invalid("Invalid collection alias: %s. %s", name, why)
	}
	return nil
}

func checkDatabaseName(name string) error {
	why := nameFault("database name", name)
	if name == "" {
		why = "database name couldn't be empty"
	}
	if why != "" {
		return errs.Input(errs.DatabaseInvalidName, "%s: invalid database name[database=%s]", why, name)
	}
	return nil
}

// nameFault is what is wrong with a name, "" for nothing.
func nameFault(what, name string) string {
	switch {
	case name == "":
		return fmt.Sprintf("the %s should not be empty", what)
	case len(name) > maxNameLength:
		return fmt.Sprintf("the length of a %s must be less than %d characters", what, maxNameLength)
	case !letter(rune(name[0])):
		return fmt.Sprintf("the first character of a %s must be an underscore or letter", what)
	case strings.ContainsFunc(name, func(r rune) bool { return !letter(r) && (r < '0' || r > '9') }):
		return what + " can only contain numbers, letters and underscores"
	}
	return ""
}

func letter(r rune) bool { return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
