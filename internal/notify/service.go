package notify

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/format"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// wanted is what an error about a URL asks for.
const wanted = "want a URL of shoutrrr, like generic+https://hooks.example.com/path?template=json"

// showTitle are the services that show a title of its own. To all others, some
// of which take one and lose it, it goes as the first line of the text.
var showTitle = []string{
	"discord", "gotify", "lark", "ntfy", "pushbullet", "pushover", "slack", "smtp",
}

// Check reports what is wrong with a URL, and never the URL itself. It connects
// to nothing.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

// target is a URL as shoutrrr understands it.
type target struct {
	service string // its name: the URL's scheme
	host    string // "" if it may be a token
	url     *url.URL
	title   bool   // it shows a title of its own
	teams   *teams // the sender of a Teams channel, which needs no service; nil for all others
	redact  redactor
}

// parse is all that can be said of a URL without a connection: to initialize a
// service of shoutrrr may log in.
func parse(rawURL string) (*target, error) {
	t := &target{redact: newRedactor(rawURL)}
	problem := safely(func() error { return t.parse(rawURL) })
	if problem == nil {
		return t, nil
	}
	switch t.service {
	case "":
		return nil, fmt.Errorf("%s; %s", t.redact.clean(problem.Error()), wanted)
	case serviceTeams:
		return nil, fmt.Errorf("%s: %s; %s", t.service, t.redact.clean(problem.Error()), wantedOfTeams)
	}
	return nil, fmt.Errorf("%s: %s; %s", t.service, t.redact.clean(problem.Error()), wanted)
}

func (t *target) parse(rawURL string) error {
	if rawURL == "" {
		return errors.New("it is empty")
	}
	name, u, err := new(router.ServiceRouter).ExtractServiceName(rawURL)
	if err != nil {
		return errors.New("it cannot be parsed as a URL")
	}
	service, err := new(router.ServiceRouter).NewService(name)
	if err != nil {
		return errors.New("its scheme is the name of no service")
	}
	t.service = name
	if name == "logger" {
		return errors.New("it tells nobody")
	}
	t.host = shownHost(u)
	if name == serviceTeams {
		t.teams, err = newTeams(u)
		return err
	}
	if u.Scheme != name {
		custom, ok := service.(types.CustomURLService)
		if !ok {
			return errors.New("its scheme takes no + and another")
		}
		if u, err = custom.GetConfigURLFromCustom(u); err != nil {
			return err
		}
	}
	config := format.GetServiceConfig(service)
	resolver := format.NewPropKeyResolver(config)
	_ = resolver.SetDefaultProps(config) // services ignore it, too
	settings, ok := config.(interface{ SetURL(*url.URL) error })
	if !ok {
		return errors.New("its settings cannot be checked")
	}
	if err := settings.SetURL(u); err != nil {
		return err
	}
	t.url = u
	t.title = slices.Contains(showTitle, name)
	if g, ok := config.(*generic.Config); ok {
		t.title = g.Template != "" // else the text is the whole body
	}
	return nil
}

// label names the channel's service for people.
func (t *target) label() string {
	return line(strings.TrimSpace(t.service+" "+t.host), maxReason)
}

// open makes the service, which may log in.
func (t *target) open() (types.Service, error) {
	service, err := new(router.ServiceRouter).NewService(t.service)
	if err != nil {
		return nil, err
	}
	u := *t.url
	return service, service.Initialize(&u, nil)
}

// post sends a message with a service, which is made if there is none, and
// returns the service for the next one.
func post(t *target, service types.Service, m message) (types.Service, error) {
	if t.teams != nil {
		return nil, t.teams.send(m)
	}
	if service == nil {
		var err error
		if service, err = t.open(); err != nil {
			return nil, err
		}
	}
	return service, t.send(service, m)
}

// send sends a message. Services of shoutrrr take no context, and keep what they
// were sent last: one is not to be used by two.
func (t *target) send(service types.Service, m message) error {
	params, text := types.Params{}, m.text
	switch {
	case !t.title:
		text = m.title + "\n" + text
	case t.service == "smtp":
		// It becomes a header as it is.
		params.SetTitle(mime.QEncoding.Encode("utf-8", m.title))
	default:
		params.SetTitle(m.title)
	}
	return service.Send(text, &params)
}

// permanent reports whether a service would answer the same the next time.
// Shoutrrr tells most status codes in the text only.
func permanent(err error) bool {
	var mail *textproto.Error
	if errors.As(err, &mail) {
		return mail.Code >= 500
	}
	for code := http.StatusBadRequest; code < http.StatusInternalServerError; code++ {
		switch code {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			continue
		}
		if text := http.StatusText(code); text != "" && strings.Contains(err.Error(), fmt.Sprintf("%d %s", code, text)) {
			return true
		}
	}
	return false
}

// safely turns a panic of shoutrrr into an error: a worker has more to do than
// to notify. Its Zulip panics when there is no connection.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("shoutrrr panics: %v", r)
		}
	}()
	return f()
}
