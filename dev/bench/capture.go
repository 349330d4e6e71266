package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"firebreak/activities"
	"firebreak/dev/internal/resident"
	"firebreak/dev/internal/s3server"
	"firebreak/internal/evidence"
	"firebreak/internal/sysdig"
	"firebreak/internal/sysdig/sysdigtest"
)

// growthBar is how much larger a process may become by saving a capture.
const growthBar = 32 << 20

// captureSizes are what is saved, and how often.
type captureSizes struct{ mib, rounds int }

func (z *captureSizes) register(flags *pflag.FlagSet) {
	flags.IntVar(&z.mib, "size", 500, "size of the capture in `MiB`")
	flags.IntVar(&z.rounds, "rounds", 3, "how often it is saved in each store; the fastest counts, and the most memory")
}

func (z *captureSizes) validate() error {
	return positive(map[string]int{"size": z.mib, "rounds": z.rounds})
}

func (z *captureSizes) bytes() int64 { return int64(z.mib) << 20 }

// saved is what it took to save a capture.
type saved struct {
	Took time.Duration `json:"took"`
	// Grown is the most memory during it beside that before it, in bytes.
	Grown  int64  `json:"grown"`
	SHA256 string `json:"sha256"`
}

// saving tells a process of its own what to save, and where.
type saving struct {
	Sysdig  sysdig.Config      `json:"sysdig"`
	Capture activities.Capture `json:"capture"`
	Store   string             `json:"store"`
}

// measure saves a capture in each store and downloads it with curl, in turns,
// and prints how long that took.
func (z *captureSizes) measure(ctx context.Context, stdout, _ io.Writer) (err error) {
	if _, err := exec.LookPath("curl"); err != nil {
		return fmt.Errorf("measure beside curl: %w", err)
	}
	dir, err := os.MkdirTemp("", "firebreak-bench-")
	if err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s3, err := s3server.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s3.Stop()) }()
	sim := sysdigtest.New(sysdigtest.Options{
		CaptureSize: z.bytes(), Step: time.Millisecond, UploadRate: 1 << 40, RateLimit: sysdigtest.Unlimited,
	})
	server := httptest.NewServer(sim)
	defer server.Close()
	sim.URL = server.URL
	job := saving{Sysdig: sim.Config()}
	if job.Capture, err = takeCapture(ctx, job.Sysdig); err != nil {
		return fmt.Errorf("take a capture: %w", err)
	}

	r := &captureReport{captureSizes: *z, id: job.Capture.ID}
	for range z.rounds {
		for _, of := range []struct {
			store string
			into  *[]saved
		}{{"file://" + filepath.Join(dir, "evidence"), &r.file}, {s3.EvidenceURL(), &r.s3}} {
			job.Store = of.store
			done, err := saveApart(ctx, job)
			if err != nil {
				return err
			}
			*of.into = append(*of.into, done)
		}
		took, err := curl(ctx, job, filepath.Join(dir, "curl"))
		if err != nil {
			return err
		}
		r.curl = append(r.curl, took)
	}
	return r.print(stdout)
}

// takeCapture takes a capture, and waits until it can be downloaded.
func takeCapture(ctx context.Context, of sysdig.Config) (activities.Capture, error) {
	client, err := sysdig.NewClient(of)
	if err != nil {
		return activities.Capture{}, err
	}
	agents, err := client.ConnectedAgents(ctx)
	if err != nil {
		return activities.Capture{}, err
	}
	created, err := client.CreateCapture(ctx, sysdig.CaptureRequest{Name: "bench", Agent: agents[0], Duration: time.Second})
	for err == nil && !created.Done() {
		if err = pause(ctx, time.Millisecond); err == nil {
			created, err = client.Capture(ctx, created.ID)
		}
	}
	if err != nil {
		return activities.Capture{}, err
	}
	return activities.Capture{ID: created.ID, Name: "bench", Size: created.Size}, nil
}

// saveApart saves a capture in a process of its own, whose memory is only that.
func saveApart(ctx context.Context, job saving) (saved, error) {
	in, err := json.Marshal(job)
	if err != nil {
		return saved{}, fmt.Errorf("encode job: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return saved{}, fmt.Errorf("find this program: %w", err)
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, self, saveMode)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	cmd.Env = append(os.Environ(), s3server.Environ()...)
	out, err := cmd.Output()
	if err != nil {
		return saved{}, fmt.Errorf("save capture in %s: %w\n%s", job.Store, err, &stderr)
	}
	var done saved
	if err := json.Unmarshal(out, &done); err != nil {
		return saved{}, fmt.Errorf("read result: %w", err)
	}
	return done, nil
}

// saveMode is the argument of such a process.
const saveMode = "save"

// saveHere is such a process: it runs the worker's activity.
func saveHere(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var job saving
	if err := json.NewDecoder(stdin).Decode(&job); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	client, err := sysdig.NewClient(job.Sysdig)
	if err != nil {
		return err
	}
	store, err := evidence.Open(ctx, job.Store)
	if err != nil {
		return err
	}
	defer store.Close()
	discard := slog.New(slog.DiscardHandler)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(discard))
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(patience)
	a := &activities.Activities{Sysdig: client, Evidence: store, Log: discard}
	env.RegisterActivity(a)
	// What the first object takes is no matter of size.
	if _, err := store.Put(ctx, "bench/small", "", strings.NewReader("small")); err != nil {
		return err
	}

	before, err := resident.Now(os.Getpid())
	if err != nil {
		return err
	}
	begin := time.Now()
	value, err := env.ExecuteActivity(a.SaveCapture, activities.SaveInput{Capture: job.Capture, WorkflowID: "bench", RunID: "run"})
	took := time.Since(begin)
	if err != nil {
		return fmt.Errorf("save capture: %w", err)
	}
	var file activities.StoredFile
	if err := value.Get(&file); err != nil {
		return fmt.Errorf("save capture: %w", err)
	}
	peak, err := resident.Peak(os.Getpid())
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(saved{Took: took, Grown: peak - before, SHA256: file.SHA256})
}

// curl downloads the capture to a file.
func curl(ctx context.Context, job saving, file string) (time.Duration, error) {
	begin := time.Now()
	output, err := exec.CommandContext(ctx, "curl", "--silent", "--show-error", "--fail", "--output", file,
		"--header", "Authorization: Bearer "+job.Sysdig.Token, // that of a simulation
		fmt.Sprintf("%s/api/v1/captures/%d/download", job.Sysdig.AppURL, job.Capture.ID)).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("curl: %w\n%s", err, output)
	}
	return time.Since(begin), nil
}

// captureReport is what was measured of saving captures.
type captureReport struct {
	captureSizes
	// id is the capture's.
	id       int64
	file, s3 []saved
	curl     []time.Duration
}

// print writes the report as a table, each row with the bar it is held to.
func (r *captureReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The worker's activity that saves a capture, in a process of its own, beside curl of the same body into a file.\n")
	fmt.Fprintf(&b, "%d MiB, %d rounds: the fastest, and the most memory. The S3 server is on the same machine.\n\n", r.mib, r.rounds)
	writeRow(&b, "", "firebreak", "curl", "ratio", "bar", "")
	floor := r.speed(slices.Min(r.curl))
	for _, of := range []struct {
		name string
		all  []saved
	}{{"file", r.file}, {"S3", r.s3}} {
		took := slices.MinFunc(of.all, func(a, b saved) int { return int(a.Took - b.Took) }).Took
		grown := slices.MaxFunc(of.all, func(a, b saved) int { return int(a.Grown - b.Grown) }).Grown
		writeRow(&b, "saved to "+of.name+" (MiB/s)", fmt.Sprintf("%.0f", r.speed(took)), fmt.Sprintf("%.0f", floor),
			fmt.Sprintf("%.2f", r.speed(took)/floor))
		writeRow(&b, "memory grown by, at its peak (MiB)", fmt.Sprintf("%.1f", float64(grown)/(1<<20)), "", "",
			fmt.Sprintf("<= %d", growthBar>>20), met(grown <= growthBar))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return r.wrong()
}

// speed is in MiB per second.
func (r *captureReport) speed(took time.Duration) float64 { return float64(r.mib) / took.Seconds() }

// wrong is an error unless the capture was saved each time.
func (r *captureReport) wrong() error {
	hash := sha256.New()
	if _, err := io.Copy(hash, sysdigtest.CaptureReader(r.id, r.bytes())); err != nil {
		return fmt.Errorf("compute hash: %w", err)
	}
	want := hex.EncodeToString(hash.Sum(nil))
	for _, s := range slices.Concat(r.file, r.s3) {
		if s.SHA256 != want {
			return fmt.Errorf("SHA-256 %s was saved: want %s", s.SHA256, want)
		}
	}
	return nil
}
