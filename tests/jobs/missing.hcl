# Can't start: there is no such command. The task's events say so.
job "missing" {
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
        command = "no-such-command"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
