package temporalserver

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
)

// Auth makes the server authenticate its callers as a real cluster does: by a
// JWT, through Temporal's own claim mapper and authorizer. What a caller changes
// then carries its name in the history, as HistoryEvent.principal, whatever it
// claims to be elsewhere.
//
// Without a token a caller may read and change nothing, so that Temporal Web,
// which has no login here, still shows incidents. A token that is expired or was
// signed by another key is refused, for reading too.
type Auth struct {
	// Dir is the folder of the key that signs tokens and of the tokens, made if it
	// is not there. The key is kept, so that tokens stay valid over a restart.
	// Every token is made anew at each start and is valid for 30 days; deleting the
	// key takes all those made before back.
	Dir string
	// Principals get a token each, beside AdminPrincipal, StarterPrincipal and
	// WorkerPrincipal, which always have theirs.
	Principals []Principal
}

// Those who always have a token: Firebreak's two processes may write to every
// namespace, and the administrator may do everything, such as register search
// attributes.
const (
	AdminPrincipal   = "admin"
	StarterPrincipal = "starter"
	WorkerPrincipal  = "worker"
)

// TokenFile is where the token of a principal lies.
func (a *Auth) TokenFile(principal string) string {
	return filepath.Join(a.Dir, principal+".jwt")
}

// Principal is somebody with a token.
type Principal struct {
	// Name is what the history shows, and that of the token's file.
	Name string
	// Role holds in every namespace the server was asked to have.
	Role Role
}

// ParsePrincipal parses NAME or NAME=ROLE. Without a role it is RoleWrite.
func ParsePrincipal(text string) (Principal, error) {
	name, role, ok := strings.Cut(text, "=")
	p := Principal{Name: name, Role: RoleWrite}
	if ok {
		p.Role = Role(role)
	}
	return p, p.check()
}

// principalName is what is safe as the name of a file, and covers e-mail
// addresses.
var principalName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`)

func (p Principal) check() error {
	if !principalName.MatchString(p.Name) {
		return fmt.Errorf("principal %q: want 1 to 64 letters, digits and . _ @ + -, the first a letter or a digit", p.Name)
	}
	if !p.Role.Valid() {
		return fmt.Errorf("role %q of principal %q: want %s, %s or %s", p.Role, p.Name, RoleRead, RoleWrite, RoleAdmin)
	}
	return nil
}

// Role is what a principal may do, by Temporal's word for it. Each includes the
// one before.
type Role string

// The roles.
const (
	// RoleRead may look at workflows and query them.
	RoleRead Role = "read"
	// RoleWrite may also start and signal workflows, and work.
	RoleWrite Role = "write"
	// RoleAdmin may also change a namespace and its search attributes.
	RoleAdmin Role = "admin"
)

// Valid says whether the role is one of the above.
func (r Role) Valid() bool { return r == RoleRead || r == RoleWrite || r == RoleAdmin }

// check reports everything that is wrong.
func (a *Auth) check() error {
	if a == nil {
		return nil
	}
	var errs []error
	if a.Dir == "" {
		errs = append(errs, errors.New(`auth folder "": want a path`))
	}
	taken := map[string]bool{AdminPrincipal: true, StarterPrincipal: true, WorkerPrincipal: true}
	for _, p := range a.Principals {
		errs = append(errs, p.check())
		// Some file systems take upper and lower case for the same.
		name := strings.ToLower(p.Name)
		if taken[name] {
			errs = append(errs, fmt.Errorf("principal %q: want another name, this one has a token already", p.Name))
		}
		taken[name] = true
	}
	return errors.Join(errs...)
}

// newClaimMapper accepts the tokens that a key of the JSON Web Key Set at a URI
// signed.
func newClaimMapper(keys string, l log.Logger) authorization.ClaimMapper {
	settings := &config.Authorization{JWTKeyProvider: config.JWTKeyProvider{KeySourceURIs: []string{keys}}}
	provider := authorization.NewDefaultTokenKeyProvider(settings, l)
	return readableByAll{authorization.NewDefaultJWTClaimMapper(provider, settings, l)}
}

// readableByAll lets everybody read whom a claim mapper does not refuse, callers
// without a token among them. They may not write: the authorizer wants a role for
// that, and only a token gives one.
type readableByAll struct{ authorization.ClaimMapper }

var _ authorization.ClaimMapperWithAuthInfoRequired = readableByAll{}

// GetClaims adds reading to what the token, if there is one, permits.
func (m readableByAll) GetClaims(info *authorization.AuthInfo) (*authorization.Claims, error) {
	claims, err := m.ClaimMapper.GetClaims(info)
	if err != nil {
		return nil, err
	}
	claims.System |= authorization.RoleReader
	return claims, nil
}

// AuthInfoRequired is false: callers without a token are mapped too.
func (readableByAll) AuthInfoRequired() bool { return false }
