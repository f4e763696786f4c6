# `nomad alloc signal -s SIGUSR1` runs the task's own handler.
job "signal" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "trap 'echo got USR1' USR1; echo ready; while :; do sleep 1; done"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
