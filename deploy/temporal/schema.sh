#!/bin/sh
# Creates Temporal's databases, and brings them to the schema of the version of
# these tools. Where they have it already, nothing changes.
set -eu

schema() {
  temporal-sql-tool --database "$1" create-database
  temporal-sql-tool --database "$1" setup-schema --version 0.0
  temporal-sql-tool --database "$1" update-schema --schema-name "postgresql/v12/$2"
}

schema temporal temporal
schema temporal_visibility visibility
