# A host volume: one task fills it, another may only read it and run what is in it. `destination` as jobs of the exec driver write it.
variable "view" {
  default = "host"
}

job "volume" {
  type = "batch"

  group "group" {
    volume "data" {
      type   = "host"
      source = "data"
    }

    task "writer" {
      driver = "exec2"
      user   = "games"

      lifecycle {
        hook = "prestart"
      }

      config {
        command = "sh"
        args    = ["-c", "cd $NOMAD_TASK_DIR/data && echo 'echo said by a program of the volume' >program && chmod 755 program"]
        view    = var.view
      }

      volume_mount {
        volume      = "data"
        destination = "/local/data"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "$NOMAD_TASK_DIR/data/program; touch $NOMAD_TASK_DIR/data/new || echo read-only"]
        view    = var.view
      }

      volume_mount {
        volume      = "data"
        destination = "local/data"
        read_only   = true
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
