package proxy

import (
	"fmt"
	"slices"
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

// filterWords are the words of filters that no field can be called.
var filterWords = [...]string{
	"like", "exists", "EXISTS", "and", "or", "not", "in", "true", "True", "TRUE", "false", "False", "FALSE",
	"json_contains", "json_contains_all", "json_contains_any", "array_contains", "array_contains_all", "array_contains_any",
	"array_length", "text_match", "phrase_match", "random_sample",
}

func checkFieldName(name string) error {
	why := nameFault("field name", strings.TrimSpace(name))
	// Functions are known in capitals, too.
	isWord := func(word string) bool {
		return name == word || strings.Contains(word, "_") && name == strings.ToUpper(word)
	}
	if why == "" && slices.ContainsFunc(filterWords[:], isWord) {
		why = name + " is a keyword of filters"
	}
	if why != "" {
		return errs.Input(errs.InvalidFieldName, "Invalid field name: %s. %s: field name invalid[field=%s]", name, why, name)
	}
	return nil
}

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

// checkPartitionName is checkName for partitions, whose names may start with a digit and hold hyphens.
func checkPartitionName(name string) error {
	name = strings.TrimSpace(name)
	odd := func(r rune) bool { return !letter(r) && (r < '0' || r > '9') }
	why := ""
	switch {
	case name == "":
		why = "Partition name should not be empty."
	case len(name) > maxNameLength:
		why = fmt.Sprintf("The length of a partition name must be less than %d characters.", maxNameLength)
	case odd(rune(name[0])):
		why = "The first character of a partition name must be an underscore or letter."
	case strings.ContainsFunc(name, func(r rune) bool { return odd(r) && r != '-' }):
		why = "Partition name can only contain numbers, letters and underscores."
	}
	if why != "" {
		return errs.Invalid("Invalid partition name: %s. %s", name, why)
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
