package redact

// value matches what is given for a secret: in quotes, which JSON may have
// escaped, which may hold escaped ones, and of which the second may have been cut
// off; or to the next blank. What follows without a blank goes with it: too much
// rather than half a password.
const value = `(?:\\+"([^"]*?)\\+"|"((?:[^"\\]|\\.)*)"|\$?'([^']*)'|\\*"((?:[^"\\]|\\.?)+)$|\$?'([^']+)$|([^\s"']+))`

// named are the names of secrets in flags, variables and documents.
const named = `(?:password|passwd|passphrase|(?:\b|_)pass\b|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|mysql_pwd)`

// secrets are the patterns of the built-in rule. They are about how secrets are
// given to programs, and about those whose form tells them.
func secrets() []string {
	return []string{
		// Before the flags: the scheme is no value.
		`(?i:authorization\\*["']?\s*[:=]\s*)\\*["']?((?i:(?:bearer|basic|digest|negotiate|token|apikey)\s+)?[^\s"'\\]+)`,
		`(?i:\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})`,
		// --password=x, --password x, -token x, "--token", "x"
		`(?i:(?:^|[\s"'])--?[\w-]*` + named + `[\w-]*(?:=|\\*["']?\s+|\\*["']\s*,\s*))` + value,
		// PGPASSWORD=x, "token": "x", ?api_key=x
		`(?i:` + named + `[\w-]*\\*["']?\s*[:=]\s*)` + value,
		// Flags that mean a password in one program, and something else in others.
		`(?:\b(?:mysql|mysqldump|mysqladmin|mysqlimport|mariadb|mariadb-dump|mariadb-admin)\b[^|;&\n]*?\s-p)` + value,
		`(?:\bsshpass\s+-p\s*)` + value,
		`(?:\bredis-cli\b[^|;&\n]*?\s-a\s+)` + value,
		`(?:\bcurl\b[^|;&\n]*?\s(?:-[A-Za-z]*[uU]|--(?:proxy-)?user)[\s=]*["']?[^\s:"']*:)([^\s"']+)`,
		`(?:\b(?:docker|podman|nerdctl|buildah|skopeo|helm|oc|az)\b[^|;&\n]*?\slogin\b[^|;&\n]*?\s-p[\s=]*)` + value,
		`\becho\s+["']?[^\s:"']+:([^\s"'|]+)["']?\s*\|\s*(?:sudo\s+)?chpasswd\b`,
		// scheme://user:password@host
		`[A-Za-z][A-Za-z0-9+.-]*://[^\s/"'@:]*:([^\s/"']+)@`,
		// Those whose form tells them: AWS, GitHub, GitLab, Slack, Google, JWT, PEM.
		`\b((?:AKIA|ASIA)[0-9A-Z]{16})\b`,
		`\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,}|AIza[\w-]{35})`,
		`\b(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)`,
		`(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|$))`,
	}
}

// telling are the words, in lower case, of which a text has one if a secret is in
// it: most have none, and need not be searched.
func telling() []string {
	return []string{
		"pass", "secret", "token", "key", "credential", "authorization", "bearer", "mysql", "mariadb", "redis-cli", "curl", "login", "://",
		"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "aiza", "eyj",
	}
}
