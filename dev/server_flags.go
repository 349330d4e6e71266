package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	enumspb "go.temporal.io/api/enums/v1"

	"firebreak/dev/internal/temporalserver"
)

// serverFlags are those of `temporal server start-dev` that say something here,
// with the same names and meaning, and those it lacks: --auth, --principal and
// --tls-….
type serverFlags struct {
	ip               string
	port             int
	uiPort           int
	headless         bool
	namespaces       []string
	dbFilename       string
	searchAttributes []string
	dynamicConfig    []string
	auth             string
	principals       []string
	tls              temporalserver.TLS
	logLevel         string
	logFormat        string
}

func (f *serverFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.ip, "ip", "127.0.0.1", "loopback `address` to bind to")
	flags.IntVarP(&f.port, "port", "p", temporalserver.DefaultPort, "`port` of Temporal; 0 picks a free one")
	flags.IntVar(&f.uiPort, "ui-port", 0, "`port` of the Web UI; 0 picks a free one (default --port + 1000)")
	flags.BoolVar(&f.headless, "headless", false, "no Web UI")
	flags.StringArrayVarP(&f.namespaces, "namespace", "n", nil, "`name` of a namespace to have beside \"default\"; may be repeated")
	flags.StringVarP(&f.dbFilename, "db-filename", "f", "", "SQLite `file` to keep everything in; none keeps it in memory")
	flags.StringArrayVar(&f.searchAttributes, "search-attribute", nil, "`NAME=TYPE` of a search attribute to have beside Firebreak's; may be repeated")
	flags.StringArrayVar(&f.dynamicConfig, "dynamic-config-value", nil, "`KEY=JSON` setting of the server; may be repeated")
	flags.StringVar(&f.auth, "auth", "", "`folder` of tokens, made if it is not there; callers need one to change anything (default: no authentication)")
	flags.StringArrayVar(&f.principals, "principal", nil, "`NAME[=ROLE]` of somebody to make a token for; the role is read, write (default) or admin; may be repeated")
	flags.StringVar(&f.tls.Cert, "tls-cert", "", "PEM `file` of the certificate that callers see (default: no TLS)")
	flags.StringVar(&f.tls.Key, "tls-key", "", "PEM `file` of its key")
	flags.StringVar(&f.tls.ClientCA, "tls-client-ca", "", "PEM `file` of the authorities of callers, who then need a certificate too")
	flags.StringVar(&f.logLevel, "log-level", "warn", "lowest `level` to log: debug, info, warn, error or never")
	flags.StringVar(&f.logFormat, "log-format", "text", "`format` of the log on stderr: text or json")
}

// options reports every flag that makes no sense together.
func (f *serverFlags) options(stderr io.Writer, uiPortSet bool) (temporalserver.Options, error) {
	logger, logErr := newLogger(stderr, f.logLevel, f.logFormat)
	attributes, attributesErr := parseSearchAttributes(f.searchAttributes)
	dynamic, dynamicErr := parseDynamicConfig(f.dynamicConfig)
	auth, authErr := parseAuth(f.auth, f.principals)
	options := temporalserver.Options{
		IP:               f.ip,
		Port:             f.port,
		UIPort:           f.uiPort,
		Headless:         f.headless,
		DatabaseFile:     f.dbFilename,
		Namespaces:       f.namespaces,
		SearchAttributes: attributes,
		DynamicConfig:    dynamic,
		Auth:             auth,
		TLS:              f.parseTLS(),
		Logger:           logger,
	}
	if options.IP == "localhost" {
		options.IP = "127.0.0.1" // the server wants an address
	}
	if !uiPortSet && f.port != 0 {
		options.UIPort = f.port + temporalserver.DefaultUIPort - temporalserver.DefaultPort
	}
	return options, errors.Join(
		portError("--port", options.Port), portError("--ui-port", options.UIPort),
		logErr, attributesErr, dynamicErr, authErr,
	)
}

// parseTLS is nil when nothing asks for TLS. The server says what is missing.
func (f *serverFlags) parseTLS() *temporalserver.TLS {
	if f.tls == (temporalserver.TLS{}) {
		return nil
	}
	return &f.tls
}

func portError(flag string, port int) error {
	if port < 0 || port > 65535 {
		return fmt.Errorf("%s %d: want 0..65535", flag, port)
	}
	return nil
}

// parseAuth is nil when nothing asks for authentication. The folder becomes
// absolute: what is printed of it is typed elsewhere.
func parseAuth(dir string, principals []string) (*temporalserver.Auth, error) {
	if dir == "" && len(principals) == 0 {
		return nil, nil
	}
	auth := &temporalserver.Auth{Dir: dir}
	var errs []error
	if dir == "" {
		errs = append(errs, fmt.Errorf("--principal %q: want --auth with the folder for the token", principals[0]))
	}
	if absolute, err := filepath.Abs(dir); err != nil {
		errs = append(errs, fmt.Errorf("--auth %q: %w", dir, err))
	} else {
		auth.Dir = absolute
	}
	for _, text := range principals {
		principal, err := temporalserver.ParsePrincipal(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--principal %q: %w", text, err))
			continue
		}
		auth.Principals = append(auth.Principals, principal)
	}
	return auth, errors.Join(errs...)
}

func parseSearchAttributes(values []string) (map[string]enumspb.IndexedValueType, error) {
	attributes := map[string]enumspb.IndexedValueType{}
	var errs []error
	for _, value := range values {
		name, kind, ok := strings.Cut(value, "=")
		valueType, known := searchAttributeType(kind)
		if !ok || name == "" || !known {
			errs = append(errs, fmt.Errorf("--search-attribute %q: want NAME=TYPE, such as Ticket=Keyword", value))
			continue
		}
		attributes[name] = valueType
	}
	return attributes, errors.Join(errs...)
}

func searchAttributeType(name string) (enumspb.IndexedValueType, bool) {
	for known, value := range enumspb.IndexedValueType_shorthandValue {
		if strings.EqualFold(name, known) && value != 0 {
			return enumspb.IndexedValueType(value), true
		}
	}
	return 0, false
}

func parseDynamicConfig(values []string) (map[string]any, error) {
	config := map[string]any{}
	var errs []error
	for _, value := range values {
		key, text, ok := strings.Cut(value, "=")
		parsed, err := decodeSetting(text)
		if !ok || key == "" || err != nil {
			errs = append(errs, fmt.Errorf("--dynamic-config-value %q: want KEY=JSON, such as frontend.rps=1000", value))
			continue
		}
		config[key] = parsed
	}
	return config, errors.Join(errs...)
}

// decodeSetting decodes a setting as the server wants it: whole numbers as int.
func decodeSetting(text string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errors.New("more than one value")
	}
	number, ok := value.(json.Number)
	if !ok {
		return value, nil
	}
	if whole, err := number.Int64(); err == nil {
		return int(whole), nil
	}
	return number.Float64()
}
