# A shell pipeline over a file. Its exit status is that of its last command; with pipefail, that of the last that failed.
variable "view" {
  default = "host"
}

job "pipeline" {
  type = "batch"

  group "report" {
    task "main" {
      driver = "exec2"

      config {
        command = "bash"
        args    = ["-ec", "cut -d' ' -f1 access.log | sort | uniq -c | sort -rn | awk '{ print $2 \": \" $1 }'; (exit 3) | cat; echo not noticed"]
        view    = var.view
      }

      template {
        destination = "local/access.log"
        data        = <<-LOG
          192.0.2.1 GET /
          192.0.2.7 GET /
          192.0.2.1 GET /favicon.ico
          192.0.2.7 GET /about
          192.0.2.1 GET /about
        LOG
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }

  group "pipefail" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "main" {
      driver = "exec2"

      config {
        command = "bash"
        args    = ["-eo", "pipefail", "-c", "(echo some; exit 3) | cat; echo not reached"]
        view    = var.view
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
