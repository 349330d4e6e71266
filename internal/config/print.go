package config

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// unquoted is text that the YAML library's choice of quotes can be relied on
// for. It leaves a "?" in front, tabs and line breaks as they are, and they come
// back as something else.
var unquoted = regexp.MustCompile(`^[^?\t\r\n][^\t\r\n]*$`)

// YAML is the configuration as a file that loads again, with its secrets
// masked.
func (c *Config) YAML() ([]byte, error) {
	node, err := yaml.ValueToNode(c, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	for _, n := range ast.Filter(ast.StringType, node) {
		if text := n.(*ast.StringNode); !unquoted.MatchString(text.Value) {
			text.Value = strconv.Quote(text.Value)
		}
	}
	return []byte(node.String() + "\n"), nil
}
