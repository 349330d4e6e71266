package temporalserver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention is how long a closed incident stays readable: long enough to come
// back to it after a weekend.
const retention = 7 * 24 * time.Hour

// openDatabase makes the database if it is not there, and in it the namespaces
// that are not there.
func openDatabase(o Options) (*config.SQL, error) {
	database := &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      uuid.NewString(),
		ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
	}
	if o.DatabaseFile != "" {
		if err := createFile(o.DatabaseFile); err != nil {
			return nil, fmt.Errorf("create database %s: %w", o.DatabaseFile, err)
		}
		database.DatabaseName = o.DatabaseFile
		// With a write-ahead log a commit survives the end of the process, as it
		// would without, but does not wait for the disk each time.
		database.ConnectAttributes = map[string]string{"mode": "rw", "journal_mode": "wal", "synchronous": "normal"}
	}

	var namespaces []*schema.NamespaceConfig
	for _, name := range o.Namespaces {
		namespace, err := schema.NewNamespaceConfig(clusterName, name, false, o.searchAttributes())
		if err != nil {
			return nil, fmt.Errorf("configure namespace %q: %w", name, err)
		}
		namespace.Detail.Config.Retention = durationpb.New(retention)
		namespaces = append(namespaces, namespace)
	}
	if err := schema.CreateNamespaces(database, namespaces...); err != nil {
		return nil, fmt.Errorf("create namespaces: %w", err)
	}
	return database, nil
}

// createFile makes sure that the file holds Temporal's tables. They are made in
// one transaction, so that a process killed on its first start leaves a file that
// the next can use.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rwc")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit

	var tables int
	if err := tx.QueryRow("SELECT count(*) FROM sqlite_master WHERE name = 'namespaces'").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return nil
	}
	if err := schema.SetupSchemaOnDB(schemaDB{tx: tx}); err != nil {
		return err
	}
	return tx.Commit()
}

// schemaDB is the part of a database that setting up the schema uses.
type schemaDB struct {
	sqlplugin.AdminDB
	tx *sql.Tx
}

// Exec runs a statement within the transaction.
func (d schemaDB) Exec(statement string, args ...any) error {
	_, err := d.tx.ExecContext(context.Background(), statement, args...)
	return err
}
