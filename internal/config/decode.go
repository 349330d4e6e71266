package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"firebreak/internal/incident"
)

// decoder decodes YAML into the configuration, strictly. The YAML library's own
// decoder stops at the first problem, knows no accepted keys and loses the
// place of a value that a type decodes by itself; this one walks the library's
// syntax tree instead.
type decoder struct {
	env      func(string) (string, bool)
	file     string
	anchors  map[string]ast.Node
	places   map[string]place // by path
	problems []*Error
}

func newDecoder(env func(string) (string, bool)) *decoder {
	return &decoder{env: env, places: map[string]place{}}
}

// decode decodes one file over what into holds already.
func (d *decoder) decode(file string, text []byte, into *Config) {
	d.file, d.anchors = file, map[string]ast.Node{}
	d.places[""] = place{file: file, line: 1, column: 1}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.syntax(err)
		return
	}
	var documents []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			documents = append(documents, doc.Body)
		}
	}
	if len(documents) > 1 {
		d.wrong("", "%d YAML documents; want one", len(documents))
	}
	if len(documents) == 1 {
		d.value(documents[0], "", reflect.ValueOf(into).Elem())
	}
}

// syntax records an error of the parser, which knows its place.
func (d *decoder) syntax(err error) {
	at := place{file: d.file, line: 1, column: 1}
	var located yaml.Error
	if !errors.As(err, &located) {
		d.problems = append(d.problems, at.wrong("%w", err))
		return
	}
	if token := located.GetToken(); token != nil {
		at.line, at.column = token.Position.Line, token.Position.Column
	}
	d.problems = append(d.problems, at.wrong("%s", located.GetMessage()))
}

// wrong records that the value at path is wrong. A value that is not written
// has the place of what should have held it.
func (d *decoder) wrong(path, format string, args ...any) {
	at, known := d.places[path]
	for outer := path; !known; at, known = d.places[outer] {
		outer = outer[:max(strings.LastIndexAny(outer, ".["), 0)]
	}
	at.path = path
	d.problems = append(d.problems, at.wrong(format, args...))
}

// err is all that is wrong, in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var all []error
	for _, p := range d.problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}

// value decodes a node into a value of the configuration.
func (d *decoder) value(n ast.Node, path string, into reflect.Value) {
	if n == nil || n.Type() == ast.NullType {
		return // a key without a value is a key left out
	}
	position := start(n)
	d.places[path] = place{file: d.file, line: position.Line, column: position.Column, path: path}
	if n = d.resolve(n, path); n == nil {
		return
	}

	switch target := into.Addr().Interface().(type) {
	case *Secret:
		if text, ok := d.text(n, path); ok {
			if err := checkReferences(text); err != nil {
				d.wrong(path, "%w", err)
			}
			*target = Secret{text: text, place: d.places[path], env: d.env}
		}
		return
	case *[]Auth:
		// A single way to authenticate may be written without a list.
		if n.Type() == ast.MappingType || n.Type() == ast.MappingValueType {
			*target = make([]Auth, 1)
			d.value(n, path+"[0]", into.Index(0))
			return
		}
	case *incident.Approval:
		// An approval may be written as its mode alone: `save_approval: none`.
		if n.Type() == ast.StringType {
			*target = incident.Approval{}
			d.value(n, path, reflect.ValueOf(&target.Mode).Elem())
			return
		}
	case *incident.Protection:
		// A protection may be written as its condition alone.
		if n.Type() == ast.StringType {
			d.value(n, path, reflect.ValueOf(&target.When).Elem())
			return
		}
	case encoding.TextUnmarshaler:
		if scalar, ok := n.(ast.ScalarNode); !ok {
			d.wrong(path, "found %s; want one value", kind(n))
		} else if err := target.UnmarshalText([]byte(scalar.GetToken().Value)); err != nil {
			d.wrong(path, "%w", err)
		}
		return
	}

	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(n, path, into.Elem())
	case reflect.Struct:
		d.structure(n, path, into)
	case reflect.Map:
		d.mapping(n, path, into)
	case reflect.Slice:
		d.sequence(n, path, into)
	case reflect.String:
		if text, ok := d.text(n, path); ok {
			into.SetString(d.expanded(text, path))
		}
	case reflect.Bool:
		if b, ok := n.(*ast.BoolNode); ok {
			into.SetBool(b.Value)
		} else {
			d.wrong(path, "found %s; want true or false", kind(n))
		}
	case reflect.Int:
		number, err := strconv.ParseInt(n.GetToken().Value, 10, 0)
		if n.Type() != ast.IntegerType || err != nil {
			d.wrong(path, "found %s; want a whole number", kind(n))
			return
		}
		into.SetInt(number)
	default:
		// Reserved keys hold anything; that they hold something is an error
		// that the check of the values reports.
	}
}

// structure decodes a mapping with known keys; a key that is not written keeps
// its value.
func (d *decoder) structure(n ast.Node, path string, into reflect.Value) {
	fields, accepted := map[string]reflect.Value{}, []string{}
	for i := range into.NumField() {
		if key, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			fields[key] = into.Field(i)
			accepted = append(accepted, key)
		}
	}
	for _, pair := range d.pairs(n, path) {
		key := pair.Key.GetToken()
		field, known := fields[key.Value]
		if !known {
			at := place{file: d.file, line: key.Position.Line, column: key.Position.Column, path: path}
			d.problems = append(d.problems, at.wrong("unknown key %q; expected one of %s", key.Value, strings.Join(accepted, ", ")))
			continue
		}
		d.value(pair.Value, join(path, key.Value), field)
	}
}

// mapping decodes a mapping with free keys, which replaces the one before.
func (d *decoder) mapping(n ast.Node, path string, into reflect.Value) {
	d.forget(path + ".")
	into.Set(reflect.MakeMap(into.Type()))
	for _, pair := range d.pairs(n, path) {
		key := pair.Key.GetToken().Value
		value := reflect.New(into.Type().Elem()).Elem()
		d.value(pair.Value, join(path, key), value)
		into.SetMapIndex(reflect.ValueOf(key), value)
	}
}

// sequence decodes a list, which replaces the one before.
func (d *decoder) sequence(n ast.Node, path string, into reflect.Value) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(path, "found %s; want a list, like [a, b]", kind(n))
		return
	}
	d.forget(path + "[")
	into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
	for i, item := range list.Values {
		d.value(item, fmt.Sprintf("%s[%d]", path, i), into.Index(i))
	}
}

// pairs are the keys and values of a mapping.
func (d *decoder) pairs(n ast.Node, path string) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	default:
		d.wrong(path, "found %s; want keys and values", kind(n))
		return nil
	}
}

// text is the text of a string node. Other scalars are refused: YAML would
// have changed some of them before they are text.
func (d *decoder) text(n ast.Node, path string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case ast.ScalarNode:
		d.wrong(path, "found %s; want text: put it in quotes", kind(n))
	default:
		d.wrong(path, "found %s; want text", kind(n))
	}
	return "", false
}

// expanded replaces references to environment variables, outside of routes,
// policies, protections, the bodies of hooks and what is redacted.
func (d *decoder) expanded(text, path string) string {
	for _, expressions := range []string{"routes[", "approvals.policies[", "guard.protected[", "redact["} {
		if strings.HasPrefix(path, expressions) {
			return text
		}
	}
	if isHookBody(path) {
		return text
	}
	if files := fileReference.FindString(text); files != "" {
		d.wrong(path, "%s: a file is for secrets; want ${NAME}", files)
		return text
	}
	value, err := expand(text, d.env)
	if err != nil {
		d.wrong(path, "%w", err)
	}
	return value
}

// resolve follows anchors, aliases and tags to the value.
func (d *decoder) resolve(n ast.Node, path string) ast.Node {
	switch n := n.(type) {
	case *ast.AnchorNode:
		d.anchors[n.Name.GetToken().Value] = n.Value
		return d.resolve(n.Value, path)
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		target, known := d.anchors[name]
		if !known {
			d.wrong(path, "alias *%s has no anchor &%s before it", name, name)
		}
		return target
	case *ast.TagNode:
		return d.resolve(n.Value, path)
	default:
		return n
	}
}

// forget drops the places of what is about to be replaced.
func (d *decoder) forget(prefix string) {
	maps.DeleteFunc(d.places, func(path string, _ place) bool { return strings.HasPrefix(path, prefix) })
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
