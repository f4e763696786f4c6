# Exits with 3, and is started again twice.
job "failing" {
  type = "batch"

  group "group" {
    restart {
      attempts = 2
      delay    = "1s"
      interval = "30m"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "echo try; exit 3"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
