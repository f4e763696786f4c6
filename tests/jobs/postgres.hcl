# PostgreSQL: initialised by a task before it, in a directory that the allocation's tasks share; queried by a task of another user.
variable "view" {
  default = "host"
}

locals {
  programs = "/usr/lib/postgresql/17/bin"
}

job "postgres" {
  group "group" {
    network {
      port "sql" {
        host_network = "local"
      }
    }

    # initdb and the server must be of one user, who is not root; initdb looks its name up.
    task "initdb" {
      driver = "exec2"
      user   = "postgres"

      lifecycle {
        hook = "prestart"
      }

      # --no-sync is for tests.
      config {
        command = "${local.programs}/initdb"
        args    = ["--pgdata=${NOMAD_ALLOC_DIR}/data/pg", "--auth=trust", "--locale=C.UTF-8", "--no-sync"]
        unveil  = ["r:/etc/passwd"]
        view    = var.view
      }

      resources {
        cpu    = 2000
        memory = 256
      }
    }

    # SIGINT, Nomad's default, is its fast shutdown.
    task "main" {
      driver       = "exec2"
      user         = "postgres"
      kill_timeout = "30s"

      config {
        command = "${local.programs}/postgres"
        args    = ["-D", "${NOMAD_ALLOC_DIR}/data/pg", "-k", "${NOMAD_ALLOC_DIR}", "-h", "127.0.0.1", "-p", "${NOMAD_PORT_sql}"]
        view    = var.view
      }

      resources {
        cpu    = 1000
        memory = 256
      }
    }

    # By the server's socket in the directory that they share.
    task "client" {
      driver = "exec2"

      lifecycle {
        hook = "poststart"
      }

      config {
        command = "sh"
        args    = ["-ec", "until pg_isready -q; do sleep 1; done; psql -X -A -t -f $NOMAD_TASK_DIR/query.sql"]
        view    = var.view
      }

      env {
        PATH       = "${local.programs}:/usr/bin"
        PGHOST     = "${NOMAD_ALLOC_DIR}"
        PGPORT     = "${NOMAD_PORT_sql}"
        PGUSER     = "postgres"
        PGDATABASE = "postgres"
      }

      template {
        destination = "local/query.sql"
        data        = <<-SQL
          CREATE TABLE planet (name text PRIMARY KEY, moons int);
          INSERT INTO planet VALUES ('earth', 1), ('mars', 2);
          SELECT string_agg(name || ' ' || moons, ', ' ORDER BY name) FROM planet;
        SQL
      }

      resources {
        cpu    = 500
        memory = 64
      }
    }
  }
}
