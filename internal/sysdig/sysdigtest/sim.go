package sysdigtest

import (
	"encoding/json"
	"net/http"
)

// simRoutes serves the controls of the simulation, for those outside the
// process.
func (s *Server) simRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/ledger", func(w http.ResponseWriter, _ *http.Request) {
		ledger := s.Ledger()
		if ledger == nil {
			ledger = Ledger{} // an empty array, not null
		}
		writeJSON(w, http.StatusOK, ledger)
	})
	mux.HandleFunc("GET /sim/invalid", func(w http.ResponseWriter, _ *http.Request) {
		invalid := s.Invalid()
		if invalid == nil {
			invalid = []string{}
		}
		writeJSON(w, http.StatusOK, invalid)
	})
	mux.HandleFunc("POST /sim/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Fault
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&f); err != nil {
			http.Error(w, "read fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		s.Fault(f)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
