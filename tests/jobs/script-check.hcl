# A service whose health is told by a script that runs inside the task.
job "script-check" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      service {
        name     = "scripted"
        provider = "consul"

        check {
          type     = "script"
          name     = "healthy"
          command  = "/bin/sh"
          args     = ["-c", "echo as $(id -u) in $NOMAD_TASK_NAME; exit 1"]
          interval = "5s"
          timeout  = "5s"
        }
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
