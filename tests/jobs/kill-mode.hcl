# Who gets the stop signal: all of the command's process group, or the command alone.
locals {
  script = <<-SH
    trap 'echo parent; sleep 2; exit 0' TERM
    (trap 'echo child; exit 0' TERM; echo ready; while :; do sleep 0.5; done) &
    wait
  SH
}

job "kill-mode" {
  group "group" {
    task "all" {
      driver       = "exec2"
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      config {
        command   = "sh"
        args      = ["-c", local.script]
        kill_mode = "group"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "one" {
      driver       = "exec2"
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      config {
        command   = "sh"
        args      = ["-c", local.script]
        kill_mode = "main"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
