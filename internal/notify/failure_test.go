package notify_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"firebreak/internal/notify"
)

func TestAFailureIsTriedAgainUnlessItWouldBeTheSame(t *testing.T) {
	t.Parallel()
	for status, attempts := range map[int]int{
		http.StatusInternalServerError: 3, http.StatusBadGateway: 3, http.StatusTooManyRequests: 3, http.StatusRequestTimeout: 3,
		http.StatusNotFound: 1, http.StatusForbidden: 1, http.StatusGone: 1, http.StatusBadRequest: 1,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s, requests := server(t, status, "")
			address := strings.TrimPrefix(s.URL, "http://")
			require.Equal(t, []string{fmt.Sprintf(
				"generic %s (notify.urls[0]): failed to send notification to generic webhook: server returned unexpected response status code: %d %s",
				address, status, http.StatusText(status))}, send(t, asked(), "generic+"+s.URL+"/planted-secret?template=json"))
			require.Len(t, requests, attempts)
		})
	}
}

func TestAnotherAttemptDelivers(t *testing.T) {
	t.Parallel()
	requests, status := make(chan request, 9), http.StatusInternalServerError
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		record(requests, status, "")(w, r)
		status = http.StatusOK
	}))
	t.Cleanup(s.Close)
	require.Empty(t, send(t, asked(), "generic+"+s.URL))
	require.Len(t, requests, 2)
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func TestNoFailureShowsWhatTheURLHolds(t *testing.T) {
	t.Parallel()
	const token = "Planted0Secret1Token2"
	broken, _ := server(t, http.StatusInternalServerError, "")
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	answer(t, "https://hooks.slack.com/services/T00000003/B00000003/Planted0Secret1Token2abc", http.StatusNotFound, "no such token T00000003/B00000003/Planted0Secret1Token2abc")
	address, _ := mailServer(t, "550 5.1.1 no such user Planted0Secret1Token2, nor user planted0secret1token2")
	for name, c := range map[string]struct{ url, want string }{
		"nobody listens":    {"generic+http://u5er:" + token + "@" + closed(t) + "/" + token + "?x=" + token + "&@Authorization=Bearer+" + token, "connection refused"},
		"a server fails":    {"generic+" + broken.URL + "/" + token + "?sig=" + token, "500 Internal Server Error"},
		"a bad certificate": {"generic+" + untrusted.URL + "/" + token, "certificate"},
		"no such host":      {"generic+https://" + "slack.com.invalid/" + token, "slack.com.invalid"},
		"Slack quotes it":   {"slack://hook:T00000003-B00000003-Planted0Secret1Token2abc@webhook", "no such token"},
		"a recipient":       {strings.Replace(mailURL(address, ""), "passw0rd", token, 1), "error setting RCPT: 550"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures := send(t, asked(), c.url)
			require.Len(t, failures, 1)
			require.Contains(t, failures[0], c.want)
			require.Contains(t, failures[0], "(notify.urls[0])")
			require.NotContains(t, strings.ToLower(failures[0]), strings.ToLower(token))
			require.NotContains(t, failures[0], "T00000003")
			require.NotContains(t, failures[0], "u5er")
			require.NotContains(t, failures[0], "\n")
		})
	}
}

func TestWhatAURLHoldsIsHiddenWhereverAnErrorQuotesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ url, text, want string }{
		"a token in place of the host": {
			"pushover://shoutrrr:AppToken123@UserKey456",
			`Post "https://api.pushover.net/1/messages.json?token=AppToken123": lookup userkey456: no such host`,
			`Post "***": lookup ***: no such host`,
		},
		"a token with a dot in place of the host": {"pushbullet://o.AbCdEf123456AbCdEf123456AbCdEf12", "bad o.abcdef123456abcdef123456abcdef12", "bad ***"},
		"as it is escaped":                        {"generic+https://h.example/?sig=a%2Bb%2Fcdef", "sig=a%2Bb%2Fcdef and a+b/cdef", "*** and ***"},
		"a part of it":                            {"slack://hook:T00000005-B00000005-abcdefghijklmnopqrstuvw5@webhook", "got T00000005/B00000005/abcdefghijklmnopqrstuvw5", "got ***/***/***"},
		"a header":                                {"generic+https://h.example/?@Authorization=Bearer+Planted0Secret", "header Planted0Secret", "header ***"},
		"a word in a path":                        {"generic+https://h.example/in/Planted0Secret", "path /in/Planted0Secret", "path ***"},
		"what is no URL":                          {"slack://a b:Planted0Secret%zz", "bad Planted0Secret%zz", "bad ***"},
		"a long answer":                           {"generic+https://h.example/", strings.Repeat("x", 1000), strings.Repeat("x", 300) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, notify.Redact(c.url, c.text))
		})
	}
}

func TestARecipientWhomTheMailServerRefusesIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for refusal, attempts := range map[string]int{"550 5.1.1 unknown": 1, "451 4.3.0 later": 3} {
		address, _ := mailServer(t, refusal)
		tries := 0
		cfg := notify.WithPost(config(mailURL(address, "")), func(_, title, text string) error {
			tries++
			return notify.Post(mailURL(address, ""), title, text)
		})
		require.Len(t, results(t, cfg, asked()), 1)
		require.Equal(t, attempts, tries, refusal)
	}
}

// hangingServer takes requests and never answers.
func hangingServer(t *testing.T) (url string, arrived <-chan struct{}) {
	t.Helper()
	end, requests := make(chan struct{}), make(chan struct{}, 100)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests <- struct{}{}
		<-end
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(end) })
	return s.URL, requests
}

func TestAServerThatNeverAnswersIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	url, arrived := hangingServer(t)
	cfg := config("generic+" + url + "/planted-secret")
	cfg.Timeout = time.Millisecond
	all := results(t, cfg, asked())
	require.Len(t, all, 1)
	require.Contains(t, all[0].Failure, "(notify.urls[0]): no answer within 1ms")
	for range 3 {
		<-arrived
	}
}

func TestAMailServerThatNeverSpeaksIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	cfg := config(mailURL(listener.Addr().String(), ""))
	cfg.Timeout = time.Millisecond
	require.Contains(t, results(t, cfg, asked())[0].Failure, "no answer within 1ms")
}

func TestAChannelThatHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	url, arrived := hangingServer(t)
	good, requests := server(t, http.StatusOK, "")
	cfg := config("generic+"+url, "generic+"+good.URL)
	cfg.Timeout = time.Hour
	sender, err := notify.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	n, served := asked(), make(chan notify.Result, 1)
	failed := make(chan error, 1)
	go func() {
		failed <- sender.Send(ctx, nil, &n, func(string) bool { return false }, func(r notify.Result) { served <- r })
	}()
	<-arrived
	require.Equal(t, notify.Result{Channel: "notify.urls[1]"}, <-served)
	require.Len(t, requests, 1)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
}

func TestAServiceThatPanicsHasFailed(t *testing.T) {
	t.Parallel()
	// The internet has no certificate of this host.
	failures := send(t, asked(), "zulip://bot@example.com:planted-secret@zulip.example.com/?stream=soc")
	require.Len(t, failures, 1)
	require.Contains(t, failures[0], "zulip zulip.example.com (notify.urls[0]): shoutrrr panics: ")
	require.NotContains(t, failures[0], "planted-secret")
}

func TestOnlyTheChannelsOfARouteAndOfTheGroupsAreTold(t *testing.T) {
	t.Parallel()
	url := func(host string) []notify.URL {
		return []notify.URL{{Name: host, Value: "generic+https://" + host + ".example/"}}
	}
	for name, c := range map[string]struct {
		route  string
		groups []string
		want   []string
	}{
		"a route without its own":    {"capture", nil, []string{"all.example"}},
		"a route with its own":       {"crypto-miner", nil, []string{"miner.example"}},
		"a route that tells nobody":  {"quiet", nil, nil},
		"an escalation":              {"capture", []string{"soc", "leads", "unknown"}, []string{"all.example", "leads.example", "soc.example"}},
		"a URL that is there twice":  {"capture", []string{"twice"}, []string{"all.example"}},
		"an escalation of the quiet": {"quiet", []string{"soc"}, []string{"soc.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan string, 10)
			cfg := notify.WithPost(notify.Config{
				URLs: url("all"), Routes: map[string][]notify.URL{"crypto-miner": url("miner"), "quiet": nil},
				Groups: map[string][]notify.URL{"soc": url("soc"), "leads": url("leads"), "twice": {{Name: "again", Value: "generic+https://all.example/"}}},
			}, func(host, _, _ string) error { told <- host; return nil })
			n := asked()
			n.Route, n.Groups = c.route, c.groups
			results(t, cfg, n)
			close(told)
			var got []string
			for host := range told {
				got = append(got, host)
			}
			require.ElementsMatch(t, c.want, got)
		})
	}
}

func TestABadURLIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                        "it is empty",
		"planted-secret":          "its scheme is the name of no service",
		"nosuch://planted-secret": "its scheme is the name of no service",
		"http://planted-secret/a": "its scheme is the name of no service",
		"://planted-secret":       "it cannot be parsed as a URL",
		"slack://planted-secret":  "slack: invalid slack token format",
		"slack+https://hooks.slack.com/services/planted-secret":                 "slack: its scheme takes no + and another",
		"smtp://user:planted-secret@mail.example/?to=a@example.com":             "smtp: fromAddress missing from config URL",
		"telegram://planted-secret@telegram?chats=1":                            "telegram: invalid *** token",
		"generic+https://h.example/?disabletls=planted-secret":                  "generic: ",
		"ntfy://user:planted-secret@ntfy.example/topic?priority=planted-secret": "ntfy: ",
		"logger://planted-secret":                                               "logger: it tells nobody",
	} {
		err := notify.Check(url)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "want a URL of shoutrrr")
		require.NotContains(t, err.Error(), "planted-secret")
	}
}

func TestWhatIsCheckedCanBeOpened(t *testing.T) {
	t.Parallel()
	_, teams := teamsURL("checked")
	for _, url := range []string{
		teams,
		"slack://hook:T00000004-B00000004-abcdefghijklmnopqrstuvw4@webhook",
		"slack://xoxb:123456789012-1234567890123-abcdefghijklmnopqrstuvwx@C001CHANNEL",
		"smtp://user:pass@mail.example.com:587/?from=a@example.com&to=b@example.com,c@example.com",
		"smtp://USER:PASSWORD@mail.example.com:587/?from=firebreak@example.com&to=soc@example.com&requirestarttls=yes",
		"generic+https://hooks.example.com/path?template=json", "generic+https://hooks.example.com/path?template=json&@Authorization=Bearer+TOKEN&$team=soc", "generic://hooks.example.com/path?disabletls=yes",
		"discord://token@123456789", "telegram://123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@telegram?chats=@soc",
		"gotify://gotify.example.com/Aaa.bbb.ccc.ddd", "ntfy://ntfy.sh/topic", "mattermost://mattermost.example.com/token",
		"rocketchat://rocket.example.com/tokenA/tokenB", "pushover://shoutrrr:token@user", "opsgenie://api.opsgenie.com/token",
		"googlechat://chat.googleapis.com/v1/spaces/FOO/messages?key=bar&token=baz", "zulip://bot@example.com:key@zulip.example.com?stream=s",
		"bark://key@bark.example.com", "ifttt://key?events=event1", "join://shoutrrr:key@join?devices=device",
		"pagerduty:///0123456789abcdef0123456789abcdef", "matrix://:token@matrix.example.com?rooms=room", "wecom://key", "notifiarr://key",
		"signal://localhost:8080/+1234567890/+0987654321", "lark://open.larksuite.com/token?secret=secret",
	} {
		require.NoError(t, notify.Check(url), url)
		require.NoError(t, notify.Open(url), url)
	}
}
