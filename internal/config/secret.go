package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
)

// mask is what is printed for a secret.
const mask = "********"

// Secret is a value that is never printed: a reference to environment variables
// or files, which is looked up by Resolve, or the value itself. Printing,
// logging or marshalling it gives a reference as it is written, for it is no
// secret, and a mask for anything else.
type Secret struct {
	text  string
	place place
	env   func(string) (string, bool)
}

// Literal is a secret whose value is known.
func Literal(value string) Secret { return Secret{text: value} }

// Resolve is the secret's value. Its errors name the variable or file that is
// missing and where it is written, and never the value.
func (s Secret) Resolve() (string, error) {
	if s.text == mask {
		// It would be a secret that everybody can read here.
		return "", s.place.wrong("it is the mask that stands for a secret in what firebreak config prints; want the secret")
	}
	if s.env == nil {
		return s.text, nil
	}
	value, err := expand(s.text, s.env)
	if err == nil && value == "" {
		err = errors.New("the value is empty")
		if s.text != "" {
			err = fmt.Errorf("%s is empty; want a value", s.text)
		}
	}
	if err != nil {
		return "", s.place.wrong("%w", err)
	}
	return value, nil
}

// String masks the secret.
func (s Secret) String() string {
	if s.text == "" || onlyReferences(s.text) {
		return s.text
	}
	return mask
}

// GoString masks the secret.
func (s Secret) GoString() string { return s.String() }

// Format masks the secret under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText masks the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue masks the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// reference matches ${NAME} and ${file:PATH}, fileReference the latter.
var (
	reference     = regexp.MustCompile(`\$\{(?:[A-Za-z_][A-Za-z0-9_]*|file:[^{}]+)\}`)
	fileReference = regexp.MustCompile(`\$\{file:[^{}]+\}`)
)

func onlyReferences(text string) bool { return reference.ReplaceAllString(text, "") == "" }

// literal reports whether the secret's value is known before it is resolved.
func (s Secret) literal() bool { return s.text != mask && !reference.MatchString(s.text) }

// checkReferences refuses a "${" that begins no reference: a misspelt one
// would be taken for the value.
func checkReferences(text string) error {
	if strings.Contains(reference.ReplaceAllString(text, ""), "${") {
		return errors.New(`"${" begins no reference; want ${NAME}, or in a secret ${file:PATH}`)
	}
	return nil
}

// expand replaces the references in text by what they stand for.
func expand(text string, env func(string) (string, bool)) (string, error) {
	if err := checkReferences(text); err != nil {
		return "", err
	}
	var failed error
	expanded := reference.ReplaceAllStringFunc(text, func(ref string) string {
		value, err := lookUp(strings.TrimSuffix(strings.TrimPrefix(ref, "${"), "}"), env)
		failed = cmp.Or(failed, err)
		return value
	})
	return expanded, failed
}

// lookUp is what a reference stands for. A file's last line break is not a part
// of it: editors and `echo` put it there.
func lookUp(name string, env func(string) (string, bool)) (string, error) {
	path, file := strings.CutPrefix(name, "file:")
	if !file {
		value, ok := env(name)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
		return value, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err) // it names the path
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
