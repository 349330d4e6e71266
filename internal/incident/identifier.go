package incident

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// maxWord bounds the texts that are compared with the words for "no value".
const maxWord = 64

// identifier returns s without blanks around it, and "" when s is a word for "no
// value". Every identifying value passes through it: IDs, names, paths, accounts
// and users. Free text does not: a command line may well be "-".
func identifier(s string) string {
	s = strings.TrimSpace(s)
	if isNoValue(s) {
		return ""
	}
	return s
}

// isNoValue reports whether s is a word that senders write for "no value", in
// whatever case and escaping: <NA>, null, (null), nil, none, N/A, -, unknown,
// undefined.
func isNoValue(s string) bool {
	if len(s) > maxWord {
		return false
	}
	word := strings.ToLower(s)
	for strings.ContainsAny(word, "&\\%\"'`") {
		plain := strings.TrimSpace(html.UnescapeString(unescaped(word)))
		plain = strings.TrimSpace(strings.Trim(plain, "\"'`"))
		if plain == word {
			break
		}
		word = plain
	}
	inner := strings.TrimSpace(strings.Trim(word, "<>()[]{}"))
	switch inner {
	case "", "null", "nil", "none", "n/a", "unknown", "undefined":
		return true
	case "na":
		return inner != word // NA without brackets is a name like any other
	default:
		return strings.Trim(inner, "-–—") == ""
	}
}

// unescaped decodes the escapes of JSON, of C and of URLs, one layer of them:
// \u003c, \x3c, %3c, \/ and \\.
func unescaped(s string) string {
	if !strings.ContainsAny(s, `\%`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		digits := 0
		switch {
		case strings.HasPrefix(s[i:], `\u`):
			digits = 4
		case strings.HasPrefix(s[i:], `\x`):
			digits = 2
		case s[i] == '%':
			digits = 2
		}
		start := i + 1
		if s[i] == '\\' {
			start++
		}
		if digits > 0 && start+digits <= len(s) {
			if code, err := strconv.ParseUint(s[start:start+digits], 16, 32); err == nil {
				b.WriteRune(rune(code))
				i = start + digits - 1
				continue
			}
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++ // the character that it escapes
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// A shape returns an identifier as it is kept, or an error that says what is
// accepted. A value of another shape counts as absent when an event has it, and is
// refused when an analyst supplies it.
type shape func(string) (string, error)

// shaped returns the value in its shape, and "" when it is absent or has another
// shape.
func shaped(of shape, value string) string {
	if value = identifier(value); value == "" {
		return ""
	}
	kept, err := of(value)
	if err != nil {
		return ""
	}
	return kept
}

// shortContainerID is the length of the container IDs that Sysdig uses.
const shortContainerID = 12

// containerID accepts 12 to 64 hexadecimal digits, or Fargate's 32 hexadecimal
// digits, hyphen and decimal digits. A full ID of 64 digits is kept in its short
// form, a prefix for the runtime (containerd://) is dropped.
func containerID(v string) (string, error) {
	id := strings.ToLower(v)
	if _, after, found := strings.Cut(id, "://"); found {
		id = after
	}
	task, number, fargate := strings.Cut(id, "-")
	switch {
	case fargate && len(task) == 32 && isHex(task) && number != "" && strings.Trim(number, "0123456789") == "":
		return id, nil
	case len(id) < shortContainerID || len(id) > 64 || !isHex(id):
		return "", fmt.Errorf("value %q: must be a container ID, 12 to 64 hexadecimal digits, like 6949e5f10829", v)
	case len(id) == 64:
		return id[:shortContainerID], nil
	default:
		return id, nil
	}
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// sha256Digest accepts 64 hexadecimal digits.
func sha256Digest(v string) (string, error) {
	if sum := strings.ToLower(v); len(sum) == 64 && isHex(sum) {
		return sum, nil
	}
	return "", fmt.Errorf("value %q: must be a SHA-256 digest of 64 hexadecimal digits", v)
}

// macAddress accepts a MAC address in any spelling, also behind the machine ID
// prefix of an agent, which stays. The address of no device, such as
// 00:00:00:00:00:00, is refused.
func macAddress(v string) (string, error) {
	prefix, address := "", strings.TrimSpace(v)
	if mac, ok := parseMAC(address); ok {
		address = mac
	} else if cut := len(address) - len("00:00:00:00:00:00"); cut > 0 {
		mac, ok := parseMAC(address[cut:])
		if !ok {
			return "", fmt.Errorf("value %q: must be a MAC address, like 42:01:0a:80:00:05", v)
		}
		prefix, address = address[:cut], mac
	} else {
		return "", fmt.Errorf("value %q: must be a MAC address, like 42:01:0a:80:00:05", v)
	}
	if strings.Trim(address, "0:") == "" || strings.Trim(address, "f:") == "" {
		return "", fmt.Errorf("value %q: must be the MAC address of a network device", v)
	}
	if prefix != "" {
		if _, err := name(prefix); err != nil {
			return "", err
		}
	}
	return prefix + address, nil
}

// name accepts the name or ID of a thing: printable, without blanks and quotes, of
// at most 253 bytes, which is the longest host name.
func name(v string) (string, error) {
	if len(v) > 253 || strings.ContainsFunc(v, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune("\"'`<>", r)
	}) {
		return "", fmt.Errorf("value %q: must be a name without blanks and quotes, of at most 253 bytes", short(v))
	}
	return v, nil
}

// line accepts what people call a thing: one line of printable text.
func line(v string) (string, error) {
	if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", fmt.Errorf("value %q: must be one line of printable text", short(v))
	}
	return v, nil
}

// absolutePath accepts an absolute path on Linux or Windows.
func absolutePath(v string) (string, error) {
	if _, err := line(v); err != nil || !isAbsolute(v) {
		return "", fmt.Errorf("value %q: must be an absolute path", short(v))
	}
	return v, nil
}

// number accepts a positive whole number, as Sysdig numbers agents and customers.
func number(v string) (string, error) {
	n, ok := integer(v)
	if !ok || n <= 0 {
		return "", fmt.Errorf("value %q: must be a whole number, 1 or more", short(v))
	}
	return strconv.FormatInt(n, 10), nil
}

// processID accepts the number of a process on its host. The largest number of 32
// bits is -1 as a kernel writes it.
func processID(v string) (int64, error) {
	n, ok := integer(v)
	if !ok || n <= 0 || n >= math.MaxUint32 {
		return 0, fmt.Errorf("value %q: must be the number of a process on the host, 1 or more", short(v))
	}
	return n, nil
}

// The bounds of a start time, in nanoseconds: the year 2001 and the year 2096. A
// number outside of them has another unit, or is no time at all.
const (
	minStartTime = int64(1e18)
	maxStartTime = int64(4e18)
)

// startTime accepts the time when a process started, in Unix nanoseconds.
func startTime(v string) (int64, error) {
	n, ok := integer(v)
	if !ok || n < minStartTime || n > maxStartTime {
		return 0, fmt.Errorf("value %q: must be a time in Unix nanoseconds, like 1720031001639981110", short(v))
	}
	return n, nil
}

// short cuts a value for an error.
func short(v string) string { return bounded(v[:min(len(v), 300)]) }
