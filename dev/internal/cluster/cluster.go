// Package cluster runs a Temporal cluster without containers: PostgreSQL and, in a
// process each as in production, Temporal's roles with their membership over the
// network. The programs are the real ones: PostgreSQL that of the system, Temporal
// and its schema tool those that this module pins. Settings are Temporal's own
// wherever they can be, so that what is tested on it, unlike on the embedded
// server, is what users get.
//
// Every node has an address of its own in 127.0.0.0/8, as hosts have, with the
// usual ports. Nothing is encrypted and nobody is authenticated. It needs Linux,
// where all these addresses are there.
package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/template"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/api/adminservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Namespace is the one that the cluster has, without search attributes: to
// register them is the user's part.
const Namespace = client.DefaultNamespace

// retention is how long closed workflows stay readable: Temporal's default.
const retention = 72 * time.Hour

// startTimeout bounds each step of the start; all of them take ten seconds on two
// idle cores.
const startTimeout = 2 * time.Minute

// Cluster is a running Temporal cluster.
type Cluster struct {
	// Nodes are its processes, in the order in which they are started. Each may be
	// killed and started again at any time.
	Nodes []*Node

	dir, address string
}

// Missing is what keeps this machine from running a cluster, if anything does.
func Missing() error {
	if runtime.GOOS != "linux" {
		return errors.New("a cluster needs an address for each node: want linux, where all of 127.0.0.0/8 is there")
	}
	_, err := postgresPrograms()
	return err
}

// Start starts a cluster and returns when its namespace can be used. The first
// time it links Temporal's programs, and compiles them if nobody has yet. On an
// error what was started is stopped.
func Start(ctx context.Context) (_ *Cluster, err error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	server, err := tool(ctx, "go.temporal.io/server/cmd/server")
	if err != nil {
		return nil, err
	}
	schema, err := tool(ctx, "go.temporal.io/server/cmd/tools/sql")
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "firebreak-cluster-"); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	network := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(255))
	database, err := c.newPostgres(ctx, network+"1")
	if err != nil {
		return nil, err
	}
	c.Nodes = append(c.Nodes, database)
	if err := database.Start(ctx); err != nil {
		return nil, err
	}
	if err := setUpSchema(ctx, schema, network+"1"); err != nil {
		return nil, err
	}
	for i, role := range []struct{ name, service string }{
		{"history 1", "history"}, {"history 2", "history"}, {"matching", "matching"}, {"frontend", "frontend"}, {"internal worker", "worker"},
	} {
		ip := network + strconv.Itoa(2+i)
		node, err := c.newTemporal(server, role.name, role.service, ip, network+"1")
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
		if err := node.Start(ctx); err != nil {
			return nil, err
		}
		if role.service == "frontend" {
			c.address = net.JoinHostPort(ip, "7233")
		}
	}
	return c, c.serve(ctx)
}

// Address is where the frontend answers, as host:port.
func (c *Cluster) Address() string { return c.address }

// Stop kills every node and removes all that they kept.
func (c *Cluster) Stop() error {
	for i := len(c.Nodes) - 1; i >= 0; i-- {
		c.Nodes[i].Kill()
	}
	// Processes of a killed PostgreSQL take a moment to notice, and may write
	// until then.
	return poll(context.Background(), startTimeout, func() error { return os.RemoveAll(c.dir) })
}

//go:embed temporal.yaml
var configuration string

// newTemporal makes a node of one of Temporal's roles.
func (c *Cluster) newTemporal(program, name, service, ip, database string) (*Node, error) {
	dir := filepath.Join(c.dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of %s: %w", name, err)
	}
	var text strings.Builder
	err := template.Must(template.New("").Parse(configuration)).Execute(&text, map[string]any{
		"IP": ip, "Database": net.JoinHostPort(database, postgresPort),
	})
	if err != nil {
		return nil, fmt.Errorf("render configuration of %s: %w", name, err)
	}
	file := filepath.Join(dir, "temporal.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration of %s: %w", name, err)
	}
	return &Node{Name: name, dir: dir, command: func() *exec.Cmd {
		return exec.Command(program, "--config-file", file, "--allow-no-auth", "start", "--service", service)
	}}, nil
}

// serve waits until all nodes have found one another, makes the namespace, and
// waits until that can be used.
func (c *Cluster) serve(ctx context.Context) error {
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	defer conn.Close()
	if err := poll(ctx, startTimeout, func() error { return errors.Join(c.startAgain(ctx), c.complete(ctx, conn)) }); err != nil {
		return fmt.Errorf("wait for all nodes: %w", err)
	}
	api := workflowservice.NewWorkflowServiceClient(conn)
	_, err = api.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{Namespace: Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(retention)})
	if err != nil {
		return fmt.Errorf("register namespace %s: %w", Namespace, err)
	}
	err = poll(ctx, startTimeout, func() error {
		_, err := api.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: Namespace})
		return err
	})
	if err != nil {
		return fmt.Errorf("use namespace %s: %w", Namespace, err)
	}
	return nil
}

// startAgain starts the nodes that have ended, and tells why they did: of the
// first ones of all some find, before they join the others, that somebody else has
// just written what they were about to write.
func (c *Cluster) startAgain(ctx context.Context) (ended error) {
	for _, node := range c.Nodes {
		if node.HasEnded() {
			ended = errors.Join(ended, fmt.Errorf("%s has ended:\n%s", node.Name, node.Tail()), node.Start(ctx))
		}
	}
	return ended
}

// complete returns nil when the frontend knows every node but the database.
func (c *Cluster) complete(ctx context.Context, frontend grpc.ClientConnInterface) error {
	described, err := adminservice.NewAdminServiceClient(frontend).DescribeCluster(ctx, &adminservice.DescribeClusterRequest{})
	if err != nil {
		return err
	}
	found, want := 0, len(c.Nodes)-1
	for _, ring := range described.GetMembershipInfo().GetRings() {
		found += int(ring.GetMemberCount())
	}
	if found != want {
		return fmt.Errorf("the frontend knows %d nodes of %d: %v", found, want, described.GetMembershipInfo().GetRings())
	}
	return nil
}

// tool is the executable of a program that this module pins.
func tool(ctx context.Context, pkg string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", pkg)
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, stderr.String())
	}
	return strings.TrimSpace(string(path)), nil
}
