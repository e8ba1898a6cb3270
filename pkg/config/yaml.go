package config

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// entry is one leaf of a YAML file under its dotted key.
type entry struct {
	key, value string
	line       int
}

// flatten turns nested YAML maps into dotted keys; a list becomes its elements joined by commas.
func flatten(path string, raw []byte) ([]entry, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	var out []entry
	err := walk(&doc, doc.Content[0], "", 0, &out)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return out, nil
}

// maxDepth is deeper than any real configuration; it also ends aliases that refer to themselves.
const maxDepth = 32

func walk(parent, n *yaml.Node, prefix string, depth int, out *[]entry) error {
	if depth > maxDepth {
		return fmt.Errorf("%d: nested too deeply", n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := walk(n, n.Content[i+1], join(prefix, n.Content[i].Value), depth+1, out); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		parts := make([]string, 0, len(n.Content))
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return fmt.Errorf("%d: key %s: a list here holds plain values only", c.Line, prefix)
			}
			parts = append(parts, c.Value)
		}
		*out = append(*out, entry{prefix, strings.Join(parts, ","), n.Line})
	case yaml.AliasNode:
		return walk(parent, n.Alias, prefix, depth+1, out)
	case yaml.ScalarNode:
		if prefix == "" {
			return fmt.Errorf("%d: expected keys and values, found %q", n.Line, n.Value)
		}
		if n.Tag != "!!null" {
			*out = append(*out, entry{prefix, n.Value, n.Line})
		}
	}
	return nil
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
