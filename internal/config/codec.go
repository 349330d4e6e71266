package config

import (
	"fmt"
	"net/url"
	"slices"
)

// Codec is the codec server, which encrypts and decrypts for Temporal Web and the
// temporal CLI.
type Codec struct {
	Listen string `yaml:"listen" json:"listen"`
	// TLS is what it terminates TLS with; without it, it speaks plain HTTP.
	TLS TLS `yaml:"tls" json:"tls"`
	// Origins are those of the pages of Temporal Web that may ask it, such as
	// http://127.0.0.1:8233; none means that no browser may.
	Origins []string `yaml:"origins" json:"origins"`
	// Auth are the ways in which whoever asks may show that it may. The server does
	// not start without one. A single one may be written without a list.
	Auth []Auth `yaml:"auth" json:"auth"`
}

// codecAuth are the authentication types of the codec server: what Temporal Web
// and the temporal CLI can send.
func codecAuth() []AuthType { return []AuthType{AuthBearer, AuthBasic, AuthHeader, AuthPath} }

func (c *Config) checkCodec(wrong report) {
	checkListen("codec.listen", c.Codec.Listen, wrong)
	if tls := c.Codec.TLS; (tls.Cert == "") != (tls.Key == "") {
		wrong("codec.tls", "want both cert and key, or neither")
	}
	for i, origin := range c.Codec.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			wrong(fmt.Sprintf("codec.origins[%d]", i), "%q: want an origin as browsers send it, like http://127.0.0.1:8233, without a path", origin)
		}
	}
	for i, auth := range c.Codec.Auth {
		path := fmt.Sprintf("codec.auth[%d]", i)
		if auth.Type != "" && !slices.Contains(codecAuth(), auth.Type) && slices.ContainsFunc(authTypes(), func(t authType) bool { return t.name == auth.Type }) {
			wrong(path+".type", "auth type %s: want one that Temporal Web and the temporal CLI can send: %s", auth.Type, listed(codecAuth()))
			continue
		}
		auth.check(path, false, wrong)
	}
}
