# Unveils more than the defaults: refused where the operator has not set unveil_by_task.
job "unveil" {
  type = "batch"

  group "group" {
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
        command = "cat"
        args    = ["/etc/os-release"]
        unveil  = ["r:/etc/os-release"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
