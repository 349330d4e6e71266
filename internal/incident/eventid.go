package incident

import "strings"

// maxSysdigEventID is the longest ID of an event (Sysdig's public OpenAPI).
const maxSysdigEventID = 32

// SysdigEventID reports whether Sysdig may have given an event its ID, so that Sysdig
// can be asked for the event. The IDs of manual actions ("action:…"), of manual
// captures and of events whose sender gives none, such as Falco's ("sha256:…"), are
// the product's own.
func SysdigEventID(id string) bool {
	return id != "" && len(id) <= maxSysdigEventID &&
		strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}
