package notify

import "github.com/nicholas-fedor/shoutrrr/pkg/types"

// Clean makes the package's treatment of hostile text testable.
var Clean = clean

// Redact is an error's text as it may be shown of a URL.
func Redact(rawURL, text string) string { return newRedactor(rawURL).clean(text) }

// Open makes the service of a URL as shoutrrr does.
func Open(rawURL string) error {
	t, err := parse(rawURL)
	if err == nil && t.teams == nil {
		_, err = t.open()
	}
	return err
}

// Card renders a message for Teams.
func Card(title, text, link string) ([]byte, error) {
	return card(message{title: title, text: text, link: link})
}

// RetryAfter reads a header of that name.
var RetryAfter = retryAfter

// Post sends any text to a URL.
func Post(rawURL, title, text string) error {
	t, err := parse(rawURL)
	if err == nil {
		_, err = post(t, nil, message{title: title, text: text})
	}
	return err
}

// WithPost returns cfg with a function that takes the place of all services. It
// is given the name of the service and the message.
func WithPost(cfg Config, f func(host, title, text string) error) Config {
	cfg.post = func(t *target, _ types.Service, m message) (types.Service, error) {
		return nil, f(t.host, m.title, m.text)
	}
	return cfg
}
