package report_test

import (
	"testing"

	"firebreak/internal/report"
	"firebreak/signals"
)

// BenchmarkDetails renders the page of an incident that waits, as it stands in
// most workflow tasks, and of one whose war room has filled its page.
func BenchmarkDetails(b *testing.B) {
	ordinary, long := waiting(), waiting()
	for range 20 {
		long.WarRoom = append(long.WarRoom, ordinary.WarRoom...)
	}
	for name, page := range map[string]*signals.Page{"ordinary": &ordinary, "long": &long} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = report.Details(page, asked(), "default")
			}
		})
	}
}
