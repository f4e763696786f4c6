# Every night at four, and never twice at a time.
variable "view" {
  default = "host"
}

job "cron" {
  type = "batch"

  periodic {
    crons            = ["0 4 * * *"]
    time_zone        = "Europe/Berlin"
    prohibit_overlap = true
  }

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "echo $NOMAD_JOB_NAME; date -u +%Y"]
        view    = var.view
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
