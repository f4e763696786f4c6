# A service whose health is told by scripts that run inside the task: one that warns, one that passes, one that never ends.
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
          name     = "warns"
          command  = "/bin/sh"
          args     = ["-c", "echo as $(id -u) in $NOMAD_TASK_NAME; exit 1"]
          interval = "5s"
          timeout  = "5s"
        }

        check {
          type     = "script"
          name     = "passes"
          command  = "/bin/sh"
          args     = ["-c", "cat /etc/passwd; cat /etc/hostname"]
          interval = "5s"
          timeout  = "5s"
        }

        check {
          type     = "script"
          name     = "hangs"
          command  = "/bin/sh"
          args     = ["-c", "sleep 3600"]
          interval = "60s"
          timeout  = "2s"
        }
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
