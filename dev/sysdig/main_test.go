package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestItServesUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	said, stdout := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0"}, stdout, io.Discard)
		_ = stdout.Close()
	}()
	lines := bufio.NewScanner(said)
	require.True(t, lines.Scan())
	url := strings.Fields(lines.Text())[1]
	go func() {
		_, _ = io.Copy(io.Discard, said)
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/sim/ledger", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	interrupt()
	require.Equal(t, 0, <-ended)
}

func TestItSaysWhatItWasGivenWrongly(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"now":                 {2, `want flags only`},
		"--step 0s":           {2, `--step 0s: want more than 0`},
		"--unknown":           {2, `unknown flag: --unknown`},
		"--listen nowhere:-1": {1, `simulate sysdig: listen tcp`},
		"--help":              {0, `--state-file`},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			require.Equal(t, want.code, run(t.Context(), strings.Fields(args), io.Discard, &stderr))
			require.Contains(t, stderr.String(), want.says)
		})
	}
}
