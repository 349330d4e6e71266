package s3server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"firebreak/dev/internal/s3server"
)

func TestMain(m *testing.M) {
	for _, variable := range s3server.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if url := os.Getenv(putVariable); url != "" {
		os.Exit(putBig(url))
	}
	os.Exit(m.Run())
}
