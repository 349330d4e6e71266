package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"
)

const postgresPort = "5432"

// programs are those of PostgreSQL.
type programs struct{ initdb, postgres string }

// postgresPrograms finds PostgreSQL, among what can be called by name or, because
// Debian keeps the server's programs from there, in Debian's folders: then the
// newest one.
func postgresPrograms() (programs, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return programs{initdb, filepath.Join(filepath.Dir(initdb), "postgres")}, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return programs{}, err
	}
	newest, dir := 0, ""
	for _, initdb := range found {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
		if err == nil && version > newest {
			newest, dir = version, filepath.Dir(initdb)
		}
	}
	if dir == "" {
		return programs{}, errors.New("there is no PostgreSQL server: want initdb in PATH or in /usr/lib/postgresql/VERSION/bin, where Debian's package postgresql has it")
	}
	return programs{filepath.Join(dir, "initdb"), filepath.Join(dir, "postgres")}, nil
}

// newPostgres makes a database server with nothing in it.
func (c *Cluster) newPostgres(ctx context.Context, ip string) (*Node, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.dir, "postgres")
	owner, err := c.postgresOwner(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, programs.initdb, "--pgdata", data, "--username", "temporal", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: owner}, dir
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the database's folder: %w\n%s", err, output)
	}
	return &Node{Name: "postgres", dir: dir, command: func() *exec.Cmd {
		cmd := exec.Command(programs.postgres, "-D", data, "-c", "listen_addresses="+ip, "-c", "port="+postgresPort,
			"-c", "unix_socket_directories=", "-c", "max_connections=300")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return cmd
	}, ready: postgresReady}, nil
}

// postgresOwner makes the folder of the database, and returns who it belongs to:
// whoever runs this, or for root, which PostgreSQL refuses, the user that its
// package has made.
func (c *Cluster) postgresOwner(dir string) (*syscall.Credential, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the database's folder: %w", err)
	}
	if os.Geteuid() != 0 {
		return nil, nil
	}
	of, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find who may run PostgreSQL for root: %w", err)
	}
	uid, err := strconv.ParseUint(of.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user ID %q of %s: %w", of.Uid, of.Username, err)
	}
	gid, err := strconv.ParseUint(of.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group ID %q of %s: %w", of.Gid, of.Username, err)
	}
	if err := errors.Join(os.Chmod(c.dir, 0o711), os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("give the database's folder to %s: %w", of.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// postgresReady reports whether the database accepts connections. After a kill the
// processes of the old one take a moment to notice, and until then no new one
// starts.
func postgresReady(n *Node) error {
	text, err := os.ReadFile(n.Output)
	switch {
	case err != nil:
		return err
	case bytes.Contains(text, []byte("database system is ready to accept connections")):
		return nil
	case n.HasEnded() && bytes.Contains(text, []byte("pre-existing shared memory block")):
		return stopped{errAgain}
	case n.HasEnded():
		return stopped{errors.New("it has ended")}
	default:
		return errors.New("it does not accept connections")
	}
}

// setUpSchema makes Temporal's databases, as its manual says.
func setUpSchema(ctx context.Context, tool, ip string) error {
	databases, ctx := errgroup.WithContext(ctx)
	for database, schema := range map[string]string{"temporal": "postgresql/v12/temporal", "temporal_visibility": "postgresql/v12/visibility"} {
		databases.Go(func() error {
			for _, command := range [][]string{{"create-database"}, {"setup-schema", "--version", "0.0"}, {"update-schema", "--schema-name", schema}} {
				args := []string{"--plugin", "postgres12", "--endpoint", ip, "--port", postgresPort, "--user", "temporal", "--database", database}
				output, err := exec.CommandContext(ctx, tool, append(args, command...)...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%s of database %s: %w\n%s", command[0], database, err, output)
				}
			}
			return nil
		})
	}
	return databases.Wait()
}
